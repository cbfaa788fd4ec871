// From an artifact to a memory that is reset: reset ARTIFACT
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasm_meminit.h>

static void check(wasm_meminit_status status) {
    if (status != WASM_MEMINIT_STATUS_OK) {
        fprintf(stderr, "error: %s\n", wasm_meminit_last_error());
        exit(1);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: reset ARTIFACT\n");
        return 2;
    }
    // Once for each module.
    wasm_meminit_module *module;
    check(wasm_meminit_module_load_file(argv[1], NULL, &module));
    wasm_meminit_global base; // The host chooses the address of one data segment.
    check(wasm_meminit_module_get_global(module, 0, &base));

    wasm_meminit_slot_config config;
    check(wasm_meminit_slot_config_init(&config, sizeof config));
    config.max_bytes = 64 << 20;
#ifdef STRATEGY // valgrind does not know the call by which the default finds written pages
    config.strategy = STRATEGY;
#endif
    wasm_meminit_slot *slot;
    check(wasm_meminit_slot_new(&config, &slot));

    // Once for each instance.
    for (int use = 0; use < 3; use++) {
        base.bits = 0x3000 + 0x1000 * (uint64_t)use;
        wasm_meminit_memory memory = {.struct_size = sizeof memory, .slot = slot};
        check(wasm_meminit_instantiate(module, &memory, 1, &base, 1));

        char *data = (char *)wasm_meminit_slot_data(slot);
        uint64_t len = wasm_meminit_slot_len(slot);
        printf("use %d: %" PRIu64 " bytes, \"%s\", \"%s\"", use, len, data + 0x43f,
               data + base.bits + 64);

        // What the program does.
        check(wasm_meminit_slot_grow(slot, len + 65536));
        printf(", grown by a zero: %d\n", data[len] == 0);
        memset(data, 'x', len + 65536);

        check(wasm_meminit_slot_reset(slot, NULL));
    }
    wasm_meminit_slot_free(slot);
    wasm_meminit_module_free(module);
    return 0;
}
