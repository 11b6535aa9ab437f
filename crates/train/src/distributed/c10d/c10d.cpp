// libtorch's distributed engine as C functions. Each returns null, or the text of an error, to be freed with c10d_free.
#include <cstdlib>
#include <cstring>

#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace {
using std::chrono::milliseconds;

struct Group {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> backend;
  c10::intrusive_ptr<c10d::Work> work;
};

template <class F>
char* guarded(F&& body) {
  try {
    body();
    return nullptr;
  } catch (const c10::Error& e) {
    return strdup(e.what_without_backtrace());
  } catch (const std::exception& e) {
    return strdup(e.what());
  } catch (...) {
    return strdup("an unknown C++ exception");
  }
}
}  // namespace

extern "C" {
void c10d_free(char* text) { free(text); }

// Connects to the store, or holds it here.
char* c10d_store(const char* host, uint16_t port, bool holds, const char* prefix, int64_t join_ms, Group** out) {
  return guarded([&] {
    // Errors come back as text; warnings would hold backtraces. Only Python calls initLogging, without which the variable
    // has no effect.
    setenv("TORCH_CPP_LOG_LEVEL", "FATAL", 0);
    c10::initLogging();
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = holds;
    options.waitWorkers = false;
    options.timeout = milliseconds(join_ms);
    auto group = std::make_unique<Group>();
    auto store = c10::make_intrusive<c10d::TCPStore>(host, options);
    group->store = c10::make_intrusive<c10d::PrefixStore>(prefix, store);
    *out = group.release();
  });
}

// Sets a key that had no value, and copies its value, of at most `length` bytes with a zero at the end.
char* c10d_agree(Group* group, const char* key, const char* value, char* told, size_t length) {
  return guarded([&] {
    auto found = group->store->compareSet(key, std::string(), std::string(value));
    std::string text(found.begin(), found.end());
    TORCH_CHECK(text.size() < length, "the value of ", key, " is too long");
    memcpy(told, text.c_str(), text.size() + 1);
  });
}

char* c10d_add(Group* group, const char* key, int64_t by, int64_t* out) {
  return guarded([&] { *out = group->store->add(key, by); });
}

// Connects the ranks. `local` is this machine's address towards the others, or empty.
char* c10d_connect(Group* group, int rank, int world, const char* local, int64_t join_ms, int64_t timeout_ms) {
  return guarded([&] {
    auto gloo = c10d::ProcessGroupGloo::Options::create_default(milliseconds(join_ms));
    if (*local) {
      gloo->devices.clear();
      gloo->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(local));
    }
    group->backend = c10::make_intrusive<c10d::ProcessGroupGloo>(group->store, rank, world, gloo);
    group->backend->setTimeout(milliseconds(timeout_ms));
  });
}

// Begins to sum a tensor over the ranks, in place.
char* c10d_begin_sum(Group* group, at::Tensor* tensor) {
  return guarded([&] {
    std::vector<at::Tensor> list{*tensor};
    group->work = group->backend->allreduce(list, {});
  });
}

// Begins to give every rank the tensor of rank 0.
char* c10d_begin_broadcast(Group* group, at::Tensor* tensor) {
  return guarded([&] {
    std::vector<at::Tensor> list{*tensor};
    group->work = group->backend->broadcast(list, {});
  });
}

// Waits for what was begun, for some time, and tells whether it is done.
char* c10d_wait(Group* group, int64_t ms, int* done) {
  return guarded([&] {
    *done = 1;
    try {
      group->work->wait(milliseconds(ms));
    } catch (const std::exception&) {
      *done = group->work->isCompleted();
      // It failed, or was done just now: this tells which.
      if (*done) group->work->wait();
    }
  });
}

void c10d_destroy(Group* group) { delete group; }
}
