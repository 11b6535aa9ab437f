// Faults of a system, loaded by LD_PRELOAD.
//
// Told by FAULT_KIND (open, write, fsync, rename or mkdir), FAULT_NTH and FAULT_UNDER, it makes system calls fail from the n-th
// on that touches a file of a folder, as a full disk does. With delete, shorten, append or change as the kind, the file
// FAULT_UNDER is deleted, cut in half, appended to or changed before the n-th time that it is opened or read, as another program
// may do. With FAULT_CLOCK, the time of day jumps by so many seconds, forth and back, each time that it is asked for.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static long seen;

// Whether a call is the n-th or a later one, and of the kind that is asked for.
static long counted(const char *kind, const char *path) {
  const char *wanted = getenv("FAULT_KIND"), *under = getenv("FAULT_UNDER"), *nth = getenv("FAULT_NTH");
  if (!wanted || !under || !nth || !strstr(kind, wanted)) return 0;
  char whole[PATH_MAX];
  if (*path != '/') {
    char here[PATH_MAX];
    if (!getcwd(here, sizeof here)) return 0;
    if (snprintf(whole, sizeof whole, "%s/%s", here, path) >= (int)sizeof whole) return 0;
    path = whole;
  }
  if (strncmp(path, under, strlen(under))) return 0;
  long late = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST) - atol(nth) + 1;
  return late > 0 ? late : 0;
}

static int fails(const char *kind, const char *path) {
  if (!counted(kind, path)) return 0;
  errno = ENOSPC;
  return 1;
}

// The path of an open file, if faults are asked for.
static int path_of(int file, char path[PATH_MAX]) {
  if (!getenv("FAULT_KIND")) return 0;
  int before = errno;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  errno = before;
  if (length < 0) return 0;
  path[length] = 0;
  return 1;
}

static int fails_at(const char *kind, int file) {
  char path[PATH_MAX];
  return path_of(file, path) && fails(kind, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

// What another program does with a file that is being read.
static void interfere(const char *path) {
  if (counted("delete shorten append change", path) != 1) return;
  int before = errno;
  const char *how = getenv("FAULT_KIND");
  struct stat status;
  if (!strcmp(how, "delete")) {
    unlink(path);
  } else if (!stat(path, &status) && !strcmp(how, "shorten")) {
    if (truncate(path, status.st_size / 2)) abort();
  } else {
    int append = !strcmp(how, "append");
    int file = REAL(open64)(path, O_WRONLY | (append ? O_APPEND : 0));
    // What is changed is in the second half, and may be read or not.
    const char *text = "zzzzzzzz";
    ssize_t written = append ? REAL(write)(file, text, 8) : pwrite(file, text, 8, status.st_size * 3 / 4);
    if (written != 8) abort();
    close(file);
  }
  errno = before;
}

ssize_t read(int file, void *bytes, size_t count) {
  char path[PATH_MAX];
  if (path_of(file, path)) interfere(path);
  return REAL(read)(file, bytes, count);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  int result = REAL(clock_gettime)(clock, time);
  const char *seconds = getenv("FAULT_CLOCK");
  if (seconds && clock == CLOCK_REALTIME && __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST) % 2) time->tv_sec += atol(seconds);
  return result;
}

ssize_t write(int file, const void *bytes, size_t count) {
  return fails_at("write", file) ? -1 : REAL(write)(file, bytes, count);
}
int fsync(int file) { return fails_at("fsync", file) ? -1 : REAL(fsync)(file); }
int fdatasync(int file) { return fails_at("fsync", file) ? -1 : REAL(fdatasync)(file); }
int rename(const char *from, const char *to) { return fails("rename", to) ? -1 : REAL(rename)(from, to); }
int mkdir(const char *path, mode_t mode) { return fails("mkdir", path) ? -1 : REAL(mkdir)(path, mode); }

int open64(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  mode_t mode = va_arg(more, mode_t);
  va_end(more);
  if ((flags & O_CREAT) && fails("open", path)) return -1;
  if (!(flags & O_CREAT)) interfere(path);
  return REAL(open64)(path, flags, mode);
}
