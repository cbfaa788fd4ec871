// An engine whose memories come from a pool of slots: wasmtime MODULE
//
// Uses wasmtime's own C API, and its shared library from the PyPI package `wasmtime`. The
// package has no headers, so what is used of them is declared here (50.0.1).
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasm_meminit.h>

typedef struct wasm_config_t wasm_config_t;
typedef struct wasm_engine_t wasm_engine_t;
typedef struct wasm_memorytype_t wasm_memorytype_t;
typedef struct wasm_trap_t wasm_trap_t;
typedef struct wasmtime_context wasmtime_context_t;
typedef struct wasmtime_error wasmtime_error_t;
typedef struct wasmtime_module wasmtime_module_t;
typedef struct wasmtime_store wasmtime_store_t;
typedef struct wasmtime_instance { uint64_t store_id; size_t private; } wasmtime_instance_t;
typedef struct wasmtime_func { uint64_t store_id; void *private; } wasmtime_func_t;
typedef struct wasmtime_extern {
    uint8_t kind;
    union { wasmtime_func_t func; uint64_t space[3]; } of;
} wasmtime_extern_t;
typedef struct wasmtime_val {
    uint8_t kind;
    union { int32_t i32; uint64_t space[3]; } of;
} wasmtime_val_t;
typedef struct wasmtime_linear_memory {
    void *env;
    uint8_t *(*get_memory)(void *env, size_t *byte_size, size_t *byte_capacity);
    wasmtime_error_t *(*grow_memory)(void *env, size_t new_size);
    void (*finalizer)(void *env);
} wasmtime_linear_memory_t;
typedef struct wasmtime_memory_creator {
    void *env;
    wasmtime_error_t *(*new_memory)(void *env, const wasm_memorytype_t *type, size_t minimum,
                                    size_t maximum, size_t reserved, size_t guard,
                                    wasmtime_linear_memory_t *memory);
    void (*finalizer)(void *env);
} wasmtime_memory_creator_t;

wasm_config_t *wasm_config_new(void);
void wasmtime_config_memory_reservation_set(wasm_config_t *, uint64_t bytes);
void wasmtime_config_memory_guard_size_set(wasm_config_t *, uint64_t bytes);
void wasmtime_config_host_memory_creator_set(wasm_config_t *, wasmtime_memory_creator_t *);
wasm_engine_t *wasm_engine_new_with_config(wasm_config_t *);
void wasm_engine_delete(wasm_engine_t *);
wasmtime_error_t *wasmtime_error_new(const char *message);
wasmtime_error_t *wasmtime_module_new(wasm_engine_t *, const uint8_t *wasm, size_t len,
                                      wasmtime_module_t **);
void wasmtime_module_delete(wasmtime_module_t *);
wasmtime_store_t *wasmtime_store_new(wasm_engine_t *, void *data, void (*finalizer)(void *));
wasmtime_context_t *wasmtime_store_context(wasmtime_store_t *);
void wasmtime_store_delete(wasmtime_store_t *);
wasmtime_error_t *wasmtime_instance_new(wasmtime_context_t *, const wasmtime_module_t *,
                                        const wasmtime_extern_t *imports, size_t n_imports,
                                        wasmtime_instance_t *, wasm_trap_t **);
bool wasmtime_instance_export_get(wasmtime_context_t *, const wasmtime_instance_t *,
                                  const char *name, size_t len, wasmtime_extern_t *);
wasmtime_error_t *wasmtime_func_call(wasmtime_context_t *, const wasmtime_func_t *,
                                     const wasmtime_val_t *args, size_t n_args,
                                     wasmtime_val_t *results, size_t n_results, wasm_trap_t **);

// The engine omits bounds checks for memories with such a reservation and guard.
enum { GUARD = 32 << 20 };
#define RESERVATION ((uint64_t)4 << 30)

static void fail(const char *message) {
    fprintf(stderr, "error: %s\n", message);
    exit(1);
}

static void check(wasm_meminit_status status) {
    if (status != WASM_MEMINIT_STATUS_OK)
        fail(wasm_meminit_last_error());
}

// Where the engine's memories come from. It does not say which module a memory is for, so this
// engine runs one module.
typedef struct source {
    wasm_meminit_pool *pool;
    wasm_meminit_module *module;
} source;

static uint8_t *get_memory(void *slot, size_t *byte_size, size_t *byte_capacity) {
    *byte_size = wasm_meminit_slot_len(slot);
    *byte_capacity = wasm_meminit_slot_max_bytes(slot);
    return wasm_meminit_slot_data(slot);
}

static wasmtime_error_t *grow_memory(void *slot, size_t bytes) {
    if (wasm_meminit_slot_grow(slot, bytes) != WASM_MEMINIT_STATUS_OK)
        return wasmtime_error_new(wasm_meminit_last_error());
    return NULL;
}

static void free_memory(void *slot) { wasm_meminit_slot_free(slot); }

static wasmtime_error_t *new_memory(void *env, const wasm_memorytype_t *type, size_t minimum,
                                    size_t maximum, size_t reserved, size_t guard,
                                    wasmtime_linear_memory_t *memory) {
    (void)type, (void)maximum;
    source *from = env;
    if (RESERVATION < reserved || GUARD < guard)
        return wasmtime_error_new("larger than a slot");
    wasm_meminit_slot *slot;
    if (wasm_meminit_pool_acquire_memory(from->pool, from->module, 0, minimum, -1, &slot) !=
        WASM_MEMINIT_STATUS_OK)
        return wasmtime_error_new(wasm_meminit_last_error());
    *memory = (wasmtime_linear_memory_t){slot, get_memory, grow_memory, free_memory};
    return NULL;
}

static int32_t run(wasmtime_context_t *context, wasmtime_instance_t *instance,
                   const char *name) {
    wasmtime_extern_t function;
    wasmtime_val_t result;
    wasm_trap_t *trap = NULL;
    if (!wasmtime_instance_export_get(context, instance, name, strlen(name), &function))
        fail("no such function");
    if (wasmtime_func_call(context, &function.of.func, NULL, 0, &result, 1, &trap) || trap)
        fail("the program trapped");
    return result.of.i32;
}

static uint8_t *read_file(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(1 << 20);
    if (!file || !bytes)
        fail(path);
    *len = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

int main(int argc, char **argv) {
    if (argc != 2)
        fail("usage: wasmtime MODULE");
    size_t len;
    uint8_t *wasm = read_file(argv[1], &len);

    // Once for each module: the artifact, and the module without the data that is in it. Both
    // can be built ahead of time.
    wasm_meminit_bytes *artifact, *stripped;
    check(wasm_meminit_build(wasm, len, &artifact));
    check(wasm_meminit_strip(wasm, len, &stripped));
    free(wasm);
    source from;
    check(wasm_meminit_module_load(wasm_meminit_bytes_data(artifact),
                                   wasm_meminit_bytes_len(artifact), NULL, &from.module));
    wasm_meminit_slot_config slots;
    check(wasm_meminit_slot_config_init(&slots, sizeof slots));
    if (!wasm_meminit_has_guards())
        fail("the engine relies on guards");
    slots.max_bytes = RESERVATION;
    slots.guard_bytes = GUARD;
    check(wasm_meminit_pool_new(NULL, &slots, &from.pool));

    wasm_config_t *config = wasm_config_new();
    wasmtime_config_memory_reservation_set(config, RESERVATION);
    wasmtime_config_memory_guard_size_set(config, GUARD);
    wasmtime_config_host_memory_creator_set(
        config, &(wasmtime_memory_creator_t){&from, new_memory, NULL});
    wasm_engine_t *engine = wasm_engine_new_with_config(config);
    wasmtime_module_t *module;
    if (wasmtime_module_new(engine, wasm_meminit_bytes_data(stripped),
                            wasm_meminit_bytes_len(stripped), &module))
        fail("the engine refuses the module");

    // Once for each request.
    for (int request = 0; request < 3; request++) {
        wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
        wasmtime_context_t *context = wasmtime_store_context(store);
        wasmtime_instance_t instance;
        wasm_trap_t *trap = NULL;
        if (wasmtime_instance_new(context, module, NULL, 0, &instance, &trap) || trap)
            fail("the instance does not start");
        int32_t first = run(context, &instance, "next"), second = run(context, &instance, "next");
        printf("request %d: %d, %d, grown from %d pages\n", request, first, second,
               run(context, &instance, "grow"));
        wasmtime_store_delete(store); // which returns the slot
    }

    wasm_meminit_pool_stats stats = {.struct_size = sizeof stats};
    check(wasm_meminit_pool_get_stats(from.pool, &stats));
    printf("%d slot, %d starts that mapped nothing\n", (int)stats.n_slots, (int)stats.n_hits);

    wasmtime_module_delete(module);
    wasm_engine_delete(engine);
    wasm_meminit_pool_free(from.pool);
    wasm_meminit_module_free(from.module);
    wasm_meminit_bytes_free(stripped);
    wasm_meminit_bytes_free(artifact);
    return 0;
}
