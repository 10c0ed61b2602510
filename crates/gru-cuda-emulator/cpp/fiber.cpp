// Fibers on x86-64 and aarch64 by a switch of our own, elsewhere by ucontext, whose system call on every
// switch costs fifty times as much.
#include "fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <ucontext.h>
#endif

namespace emulator {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t stack_bytes = 256 << 10;
#else
constexpr std::size_t stack_bytes = 64 << 10;
#endif

// Below each stack lies a page that nobody may touch.
const std::size_t guard_bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));

}  // namespace

#if defined(__x86_64__)

// emulator_switch(&from.context, to.context): callee-saved registers on the old stack, then the new stack.
asm(R"(
.text
.globl emulator_switch
.type emulator_switch, @function
emulator_switch:
  endbr64
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emulator_switch, .-emulator_switch
)");

namespace {
void* first_context(char* top, void (*entry)()) {
  // Six registers, the address to return to, and 8 bytes, so that the stack is aligned as after a call.
  auto* frame = reinterpret_cast<std::uintptr_t*>(top) - 8;
  std::memset(frame, 0, 8 * sizeof *frame);
  frame[6] = reinterpret_cast<std::uintptr_t>(entry);
  return frame;
}
}  // namespace

#elif defined(__aarch64__)

#if defined(__APPLE__)
#define SWITCH "_emulator_switch"
#else
#define SWITCH "emulator_switch"
#endif
asm(".text\n.globl " SWITCH "\n.p2align 2\n" SWITCH ":" R"(
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
)");

namespace {
void* first_context(char* top, void (*entry)()) {
  auto* frame = reinterpret_cast<std::uintptr_t*>(top) - 20;
  std::memset(frame, 0, 20 * sizeof *frame);
  frame[11] = reinterpret_cast<std::uintptr_t>(entry);  // x30
  return frame;
}
}  // namespace

#endif

#if defined(__x86_64__) || defined(__aarch64__)

extern "C" void emulator_switch(void** from, void* to);

namespace {
void switch_context(Fiber& from, Fiber& to) { emulator_switch(&from.context, to.context); }
}  // namespace

#else

namespace {
// The context lies at the top of the fiber's own stack.
void* first_context(char* top, void (*entry)()) {
  auto* context = reinterpret_cast<ucontext_t*>(top - ((sizeof(ucontext_t) + 63) & ~std::size_t{63}));
  getcontext(context);
  context->uc_stack.ss_size = stack_bytes / 2;
  context->uc_stack.ss_sp = reinterpret_cast<char*>(context) - context->uc_stack.ss_size;
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
  return context;
}

void switch_context(Fiber& from, Fiber& to) {
  ucontext_t here;
  from.context = &here;
  swapcontext(&here, static_cast<ucontext_t*>(to.context));
}
}  // namespace

#endif

Stacks::~Stacks() {
  for (char* stack : stacks) {
#if defined(__SANITIZE_ADDRESS__)
    // What fibers left there that never came to their end; the next thread's memory may lie at the same place.
    __asan_unpoison_memory_region(stack, stack_bytes);
#endif
    munmap(stack - guard_bytes, guard_bytes + stack_bytes);
  }
}

void Stacks::prepare(Fiber& fiber, std::size_t number, void (*entry)()) {
  while (stacks.size() <= number) {
    void* memory = mmap(nullptr, guard_bytes + stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, guard_bytes, PROT_NONE) != 0) std::abort();
    stacks.push_back(static_cast<char*>(memory) + guard_bytes);
  }
  fiber.stack = stacks[number];
  fiber.stack_bytes = stack_bytes;
  fiber.fake_stack = nullptr;
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(fiber.stack, stack_bytes);
#endif
  // Tops at different distances from a page's end, or all of them would share a few lines of the cache.
  std::size_t stagger = number % 8 * 448;
  fiber.context = first_context(fiber.stack + stack_bytes - stagger, entry);
}

#if defined(__SANITIZE_ADDRESS__)

void switch_to(Fiber& from, Fiber& to) {
  __sanitizer_start_switch_fiber(&from.fake_stack, to.stack, to.stack_bytes);
  switch_context(from, to);
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
}

void begin_fiber(Fiber& came_from) {
  const void* stack;
  __sanitizer_finish_switch_fiber(nullptr, &stack, &came_from.stack_bytes);
  came_from.stack = static_cast<char*>(const_cast<void*>(stack));
}

void leave_to(Fiber& from, Fiber& to) {
  __sanitizer_start_switch_fiber(nullptr, to.stack, to.stack_bytes);
  switch_context(from, to);
  std::abort();
}

#else

void switch_to(Fiber& from, Fiber& to) { switch_context(from, to); }

void begin_fiber(Fiber&) {}

void leave_to(Fiber& from, Fiber& to) {
  switch_context(from, to);
  std::abort();
}

#endif

}  // namespace emulator
