// A module compiled by wasm2c, in memory of the host: wasm2c ARTIFACT
//
// `guest.h` and `guest.c` are what wasm2c writes for the module after `wasm_meminit_strip` and
// `wasm_meminit_externalize`, which makes it import its memory as `memory0` of `host`.
#define _POSIX_C_SOURCE 200809L // for the runtime's sigsetjmp
#include <stdio.h>
#include <stdlib.h>
#include <wasm_meminit.h>

#include "guest.h"
#include "wasm-rt-impl.h"

// The generated code omits bounds checks: a 32-bit address and a 32-bit offset reach 8 GiB.
#define FOUR_GIB ((uint64_t)4 << 30)
enum { PAGE = 65536 };

static void check(wasm_meminit_status status) {
    if (status != WASM_MEMINIT_STATUS_OK) {
        fprintf(stderr, "error: %s\n", wasm_meminit_last_error());
        exit(1);
    }
}

// What the generated code imports from.
struct Z_host_instance_t {
    wasm_rt_memory_t memory; // first: growth finds the rest through it
    wasm_meminit_slot *slot;
};

wasm_rt_memory_t *Z_hostZ_memory0(struct Z_host_instance_t *host) { return &host->memory; }

// Describes the slot's memory to the generated code.
static void update(struct Z_host_instance_t *host) {
    uint64_t len = wasm_meminit_slot_len(host->slot);
    host->memory.data = wasm_meminit_slot_data(host->slot);
    host->memory.size = (uint32_t)len;
    host->memory.pages = (uint32_t)(len / PAGE);
}

// In place of the function of wasm2c's runtime, which is compiled under another name.
uint32_t wasm_rt_grow_memory(wasm_rt_memory_t *memory, uint32_t delta) {
    struct Z_host_instance_t *host = (struct Z_host_instance_t *)memory;
    uint32_t before = memory->pages;
    uint64_t pages = (uint64_t)before + delta;
    if (memory->max_pages < pages ||
        wasm_meminit_slot_grow(host->slot, pages * PAGE) != WASM_MEMINIT_STATUS_OK)
        return UINT32_MAX;
    update(host);
    return before;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: wasm2c ARTIFACT\n");
        return 2;
    }
    wasm_rt_init();
    Z_guest_init_module();

    // Once for each module.
    wasm_meminit_module *module;
    check(wasm_meminit_module_load_file(argv[1], NULL, &module));
    wasm_meminit_memory_info info = {.struct_size = sizeof info};
    check(wasm_meminit_module_get_memory(module, 0, &info));
    wasm_meminit_slot_config config;
    check(wasm_meminit_slot_config_init(&config, sizeof config));
    if (!wasm_meminit_has_guards())
        return fprintf(stderr, "error: the generated code relies on guards\n"), 1;
    config.max_bytes = FOUR_GIB;
    config.guard_bytes = FOUR_GIB;
    struct Z_host_instance_t host = {.memory.max_pages = (uint32_t)(info.max_bytes / PAGE)};
    check(wasm_meminit_slot_new(&config, &host.slot));

    // Once for each request. The generated code replays the segments that are not in the image.
    wasm_meminit_reset_report report = {.struct_size = sizeof report};
    for (int request = 0; request < 3; request++) {
        wasm_meminit_memory memory = {.struct_size = sizeof memory, .slot = host.slot};
        check(wasm_meminit_place_images(module, &memory, 1));
        update(&host);
        wasm_rt_trap_t trap = wasm_rt_impl_try();
        if (trap != WASM_RT_TRAP_NONE) {
            fprintf(stderr, "error: the program trapped: %s\n", wasm_rt_strerror(trap));
            return 1;
        }
        Z_guest_instance_t instance;
        Z_guest_instantiate(&instance, &host);
        uint32_t first = Z_guestZ_next(&instance), second = Z_guestZ_next(&instance);
        printf("request %d: %u, %u, grown from %u pages\n", request, first, second,
               Z_guestZ_grow(&instance));
        Z_guest_free(&instance);
        check(wasm_meminit_slot_reset(host.slot, &report));
    }
    wasm_meminit_slot_free(host.slot);
    wasm_meminit_module_free(module);
    wasm_rt_free();
    return 0;
}
