"""An engine whose memories come from a pool of slots: python_ctypes.py MODULE

Uses the library by ctypes, with the engine of the PyPI package `wasmtime` (50.0.1), whose
bindings of wasmtime's own C API are `wasmtime._bindings`. `WASM_MEMINIT_LIB` is the path of the
shared library, if it is not installed.
"""

import ctypes
import os
import sys
from ctypes import POINTER, byref, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

import wasmtime
from wasmtime import _bindings as engine_c

lib = ctypes.CDLL(os.environ.get("WASM_MEMINIT_LIB", "libwasm_meminit.so.0"))


class SlotConfig(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("max_bytes", c_uint64),
        ("guard_bytes", c_uint64),
        ("guard_before_bytes", c_uint64),
        ("keep_resident_bytes", c_uint64),
        ("strategy", c_uint32),
        ("max_pieces", c_uint32),
    ]


class PoolStats(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t)] + [
        (name, c_uint64)
        for name in (
            "n_hits n_maps n_blank n_waits n_resets n_discarded n_poisoned n_slots n_ready"
            " n_queued resident_bytes page_table_bytes image_bytes"
        ).split()
    ]


class Error(Exception):
    pass


def check(status, _function=None, _arguments=None):
    """Raises the last error unless a call succeeded."""
    if status != 0:
        raise Error(lib.wasm_meminit_last_error().decode())


def declare(name, *arguments, result=c_int32):
    function = getattr(lib, "wasm_meminit_" + name)
    function.argtypes, function.restype = arguments, result
    if result is c_int32:
        function.errcheck = check
    return function


OBJECT = POINTER(c_void_p)
declare("last_error", result=c_char_p)
has_guards = declare("has_guards", result=c_uint32)
build = declare("build", c_char_p, c_size_t, OBJECT)
strip = declare("strip", c_char_p, c_size_t, OBJECT)
bytes_data = declare("bytes_data", c_void_p, result=c_void_p)
bytes_len = declare("bytes_len", c_void_p, result=c_size_t)
bytes_free = declare("bytes_free", c_void_p, result=None)
module_load = declare("module_load", c_char_p, c_size_t, c_void_p, OBJECT)
module_free = declare("module_free", c_void_p, result=None)
slot_config_init = declare("slot_config_init", POINTER(SlotConfig), c_size_t)
slot_grow = declare("slot_grow", c_void_p, c_uint64)
slot_data = declare("slot_data", c_void_p, result=c_void_p)
slot_len = declare("slot_len", c_void_p, result=c_uint64)
slot_max_bytes = declare("slot_max_bytes", c_void_p, result=c_uint64)
slot_free = declare("slot_free", c_void_p, result=None)
pool_new = declare("pool_new", c_void_p, POINTER(SlotConfig), OBJECT)
pool_acquire_memory = declare(
    "pool_acquire_memory", c_void_p, c_void_p, c_uint32, c_uint64, c_int64, OBJECT
)
pool_stats = declare("pool_get_stats", c_void_p, POINTER(PoolStats))
pool_free = declare("pool_free", c_void_p, result=None)


def created(function, *arguments):
    """Returns the object that a function creates."""
    made = c_void_p()
    function(*arguments, byref(made))
    return made


def to_bytes(handle):
    """Copies bytes of the library, and frees them."""
    copy = ctypes.string_at(bytes_data(handle), bytes_len(handle))
    bytes_free(handle)
    return copy


class Source:
    """Where the memories of an engine that runs one module come from."""

    RESERVATION, GUARD = 4 << 30, 32 << 20

    def __init__(self, artifact):
        if not has_guards():
            raise Error("the engine relies on guards")
        self.module = created(module_load, artifact, len(artifact), None)
        slots = SlotConfig()
        slot_config_init(byref(slots), ctypes.sizeof(slots))
        slots.max_bytes, slots.guard_bytes = self.RESERVATION, self.GUARD
        self.pool = created(pool_new, None, byref(slots))
        # The engine keeps the addresses of these functions, but not the objects.
        self.get = engine_c.wasmtime_memory_get_callback_t(self.get_memory)
        self.grow = engine_c.wasmtime_memory_grow_callback_t(self.grow_memory)
        self.finalize = ctypes.CFUNCTYPE(None, c_void_p)(slot_free)
        self.creator = engine_c.wasmtime_memory_creator(
            None, engine_c.wasmtime_new_memory_callback_t(self.new_memory)
        )

    def configure(self, config):
        engine_c.wasmtime_config_memory_reservation_set(config.ptr(), self.RESERVATION)
        engine_c.wasmtime_config_memory_guard_size_set(config.ptr(), self.GUARD)
        engine_c.wasmtime_config_host_memory_creator_set(config.ptr(), byref(self.creator))

    def new_memory(self, _env, _type, minimum, _maximum, reserved, guard, memory):
        if self.RESERVATION < reserved or self.GUARD < guard:
            return self.error("larger than a slot")
        try:
            slot = created(pool_acquire_memory, self.pool, self.module, 0, minimum, -1)
        except Error as err:
            return self.error(str(err))
        memory[0].env, memory[0].get_memory = slot, self.get
        memory[0].grow_memory, memory[0].finalizer = self.grow, self.finalize
        return 0

    def get_memory(self, slot, size, capacity):
        size[0], capacity[0] = slot_len(slot), slot_max_bytes(slot)
        return slot_data(slot)

    def grow_memory(self, slot, size):
        try:
            slot_grow(slot, size)
        except Error as err:
            return self.error(str(err))
        return 0

    @staticmethod
    def error(message):
        return ctypes.cast(engine_c.wasmtime_error_new(message.encode()), c_void_p).value

    def stats(self):
        stats = PoolStats(ctypes.sizeof(PoolStats))
        pool_stats(self.pool, byref(stats))
        return stats

    def close(self):
        pool_free(self.pool)
        module_free(self.module)


def main(path):
    with open(path, "rb") as file:
        wasm = file.read()
    # Once for each module: the artifact, and the module without the data that is in it.
    source = Source(to_bytes(created(build, wasm, len(wasm))))
    config = wasmtime.Config()
    source.configure(config)
    engine = wasmtime.Engine(config)
    module = wasmtime.Module(engine, to_bytes(created(strip, wasm, len(wasm))))

    # Once for each request.
    for request in range(3):
        store = wasmtime.Store(engine)
        exports = wasmtime.Instance(store, module, []).exports(store)
        count, grow = exports["next"], exports["grow"]
        first, second = count(store), count(store)
        print(f"request {request}: {first}, {second}, grown from {grow(store)} pages")
        store.close()  # which returns the slot

    stats = source.stats()
    print(f"{stats.n_slots} slot, {stats.n_hits} starts that mapped nothing")
    source.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python_ctypes.py MODULE")
    main(sys.argv[1])
