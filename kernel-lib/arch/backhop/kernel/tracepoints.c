// SPDX-License-Identifier: GPL-2.0
/*
 * Tracepoints that generic code uses with CONFIG_TRACEPOINTS but defines only with CONFIG_TRACING
 * (drivers/base/trace.c in 6.1 and 6.12).
 */
#define CREATE_TRACE_POINTS
#include "trace.h"
