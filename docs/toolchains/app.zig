//! A table, a mutable table, and zeros.

const std = @import("std");

const table: [512]u32 = blk: {
    @setEvalBranchQuota(10_000);
    var t: [512]u32 = undefined;
    for (&t, 0..) |*it, at| it.* = @truncate(@as(u64, at) * 2654435761 + 1);
    break :blk t;
};
var variables = table;
var zeros: [16 * 1024]u32 = @splat(0);

export fn handle(request: u32) u32 {
    variables[request % 512] ^= table[(request + 1) % 512];
    zeros[request % (16 * 1024)] += 1;
    return variables[request % 512] + zeros[request % 7];
}
