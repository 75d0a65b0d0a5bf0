/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Found before the generic header of this name, and empty on purpose: <trace/define_trace.h> takes
 * CONFIG_TRACEPOINTS to mean that events are also listed for tracefs, perf and BPF, which would
 * need the whole event tracer and megabytes a node. The port only wants the tracepoints' hooks.
 */
