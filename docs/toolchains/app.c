// Data of every kind that a C compiler emits: constants, strings, initialised and zeroed variables.
#define N 512
#define F(i) ((i) * 2654435761u + 1)
#define F4(i) F(i), F(i + 1), F(i + 2), F(i + 3)
#define F16(i) F4(i), F4(i + 4), F4(i + 8), F4(i + 12)
#define F64(i) F16(i), F16(i + 16), F16(i + 32), F16(i + 48)
static const unsigned constants[N] = {F64(0),   F64(64),  F64(128), F64(192),
                                      F64(256), F64(320), F64(384), F64(448)};
static unsigned variables[N] = {F64(512), F64(576), F64(640), F64(704),
                                F64(768), F64(832), F64(896), F64(960)};
static unsigned zeros[16 * 1024];
static const char *const names[] = {"one", "two", "three", "four"};

#ifdef THREADS
static _Thread_local unsigned of_thread = 7;
#else
static unsigned of_thread = 7;
#endif

__attribute__((export_name("handle"), visibility("default"))) unsigned handle(unsigned request) {
    variables[request % N] ^= constants[(request + 1) % N];
    zeros[request % (16 * 1024)] += of_thread++;
    return variables[request % N] + (unsigned)names[request % 4][0];
}

#ifdef LIBC
#include <stdio.h>
int main(void) { return printf("%u %s\n", handle(3), names[1]) < 0; }
#endif
