// Makes system calls fail from the n-th on that touches a file of a folder, as a full disk does: loaded by LD_PRELOAD, told by
// FAULT_KIND (open, write, fsync, rename or mkdir), FAULT_NTH and FAULT_UNDER.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static long seen;

static int fails(const char *kind, const char *path) {
  const char *wanted = getenv("FAULT_KIND"), *under = getenv("FAULT_UNDER"), *nth = getenv("FAULT_NTH");
  if (!wanted || !under || !nth || strcmp(kind, wanted)) return 0;
  char whole[PATH_MAX];
  if (*path != '/') {
    char here[PATH_MAX];
    if (!getcwd(here, sizeof here)) return 0;
    if (snprintf(whole, sizeof whole, "%s/%s", here, path) >= (int)sizeof whole) return 0;
    path = whole;
  }
  if (strncmp(path, under, strlen(under))) return 0;
  if (__atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST) < atol(nth)) return 0;
  errno = ENOSPC;
  return 1;
}

static int fails_at(const char *kind, int file) {
  if (!getenv("FAULT_KIND")) return 0;
  int before = errno;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  errno = before;
  if (length < 0) return 0;
  path[length] = 0;
  return fails(kind, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

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
  return (flags & O_CREAT) && fails("open", path) ? -1 : REAL(open64)(path, flags, mode);
}
