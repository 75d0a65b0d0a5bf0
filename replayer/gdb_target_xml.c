/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The target description of a replay: what gdb is told of its registers. Used by
 * replayer/gdb_server_xfer.c; the registers' values are in replayer/gdb_server_registers.c.
 */
#include "replayer/gdb_target_xml.h"

size_t bh_gdb_register_size(unsigned int number)
{
	if (number <= BH_GDB_RIP)
		return 8;
	if (number < BH_GDB_ST0)
		return 4;
	if (number < BH_GDB_FCTRL)
		return 10;
	if (number < BH_GDB_XMM0)
		return 4;
	if (number < BH_GDB_MXCSR)
		return 16;
	if (number == BH_GDB_MXCSR)
		return 4;
	return number < BH_GDB_REGISTER_COUNT ? 8 : 0;
}

/*
 * gdb wants the names of its own x86-64 features. The operating system is named, because gdb reads
 * library lists only for GNU/Linux, and that in turn needs the feature with orig_rax.
 */
#define ATTRIBUTE(name, value) " " name "=\"" value "\""
#define NUMBERED(name, bits, type, number)                                                         \
	ATTRIBUTE("name", name)                                                                    \
	ATTRIBUTE("bitsize", #bits) ATTRIBUTE("type", type) ATTRIBUTE("regnum", #number)
#define REGISTER(name, bits, type, number) "<reg" NUMBERED(name, bits, type, number) "/>\n"
#define POSITION(name, type, number)                                                               \
	"<reg" NUMBERED(name, 64, type, number) ATTRIBUTE("group", "general")                      \
		ATTRIBUTE("save-restore", "no") "/>\n"
#define FLAG(name, bit)                                                                            \
	"<field" ATTRIBUTE("name", name) ATTRIBUTE("start", #bit) ATTRIBUTE("end", #bit) "/>\n"
#define VECTOR(id, type, count)                                                                    \
	"<vector" ATTRIBUTE("id", id) ATTRIBUTE("type", type) ATTRIBUTE("count", #count) "/>\n"
#define FIELD(name, type) "<field" ATTRIBUTE("name", name) ATTRIBUTE("type", type) "/>\n"

/* clang-format off */
const char bh_gdb_target_xml[] =
	"<?xml version=\"1.0\"?>\n"
	"<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
	"<target version=\"1.0\">\n"
	"<architecture>i386:x86-64</architecture>\n"
	"<osabi>GNU/Linux</osabi>\n"
	"<feature name=\"org.gnu.gdb.i386.core\">\n"
	"<flags id=\"i386_eflags\" size=\"4\">\n"
	FLAG("CF", 0)
	FLAG("", 1)
	FLAG("PF", 2)
	FLAG("AF", 4)
	FLAG("ZF", 6)
	FLAG("SF", 7)
	FLAG("TF", 8)
	FLAG("IF", 9)
	FLAG("DF", 10)
	FLAG("OF", 11)
	FLAG("NT", 14)
	FLAG("RF", 16)
	FLAG("VM", 17)
	FLAG("AC", 18)
	FLAG("VIF", 19)
	FLAG("VIP", 20)
	FLAG("ID", 21)
	"</flags>\n"
	REGISTER("rax", 64, "int64", 0)
	REGISTER("rbx", 64, "int64", 1)
	REGISTER("rcx", 64, "int64", 2)
	REGISTER("rdx", 64, "int64", 3)
	REGISTER("rsi", 64, "int64", 4)
	REGISTER("rdi", 64, "int64", 5)
	REGISTER("rbp", 64, "data_ptr", 6)
	REGISTER("rsp", 64, "data_ptr", 7)
	REGISTER("r8", 64, "int64", 8)
	REGISTER("r9", 64, "int64", 9)
	REGISTER("r10", 64, "int64", 10)
	REGISTER("r11", 64, "int64", 11)
	REGISTER("r12", 64, "int64", 12)
	REGISTER("r13", 64, "int64", 13)
	REGISTER("r14", 64, "int64", 14)
	REGISTER("r15", 64, "int64", 15)
	REGISTER("rip", 64, "code_ptr", 16)
	REGISTER("eflags", 32, "i386_eflags", 17)
	REGISTER("cs", 32, "int32", 18)
	REGISTER("ss", 32, "int32", 19)
	REGISTER("ds", 32, "int32", 20)
	REGISTER("es", 32, "int32", 21)
	REGISTER("fs", 32, "int32", 22)
	REGISTER("gs", 32, "int32", 23)
	REGISTER("st0", 80, "i387_ext", 24)
	REGISTER("st1", 80, "i387_ext", 25)
	REGISTER("st2", 80, "i387_ext", 26)
	REGISTER("st3", 80, "i387_ext", 27)
	REGISTER("st4", 80, "i387_ext", 28)
	REGISTER("st5", 80, "i387_ext", 29)
	REGISTER("st6", 80, "i387_ext", 30)
	REGISTER("st7", 80, "i387_ext", 31)
	"<reg name=\"fctrl\" bitsize=\"32\" type=\"int\" regnum=\"32\" group=\"float\"/>\n"
	"<reg name=\"fstat\" bitsize=\"32\" type=\"int\" regnum=\"33\" group=\"float\"/>\n"
	"<reg name=\"ftag\" bitsize=\"32\" type=\"int\" regnum=\"34\" group=\"float\"/>\n"
	"<reg name=\"fiseg\" bitsize=\"32\" type=\"int\" regnum=\"35\" group=\"float\"/>\n"
	"<reg name=\"fioff\" bitsize=\"32\" type=\"int\" regnum=\"36\" group=\"float\"/>\n"
	"<reg name=\"foseg\" bitsize=\"32\" type=\"int\" regnum=\"37\" group=\"float\"/>\n"
	"<reg name=\"fooff\" bitsize=\"32\" type=\"int\" regnum=\"38\" group=\"float\"/>\n"
	"<reg name=\"fop\" bitsize=\"32\" type=\"int\" regnum=\"39\" group=\"float\"/>\n"
	"</feature>\n"
	"<feature name=\"org.gnu.gdb.i386.sse\">\n"
	VECTOR("v4f", "ieee_single", 4)
	VECTOR("v2d", "ieee_double", 2)
	VECTOR("v16i8", "int8", 16)
	VECTOR("v8i16", "int16", 8)
	VECTOR("v4i32", "int32", 4)
	VECTOR("v2i64", "int64", 2)
	"<union id=\"vec128\">\n"
	FIELD("v4_float", "v4f")
	FIELD("v2_double", "v2d")
	FIELD("v16_int8", "v16i8")
	FIELD("v8_int16", "v8i16")
	FIELD("v4_int32", "v4i32")
	FIELD("v2_int64", "v2i64")
	FIELD("uint128", "uint128")
	"</union>\n"
	"<flags id=\"i386_mxcsr\" size=\"4\">\n"
	FLAG("IE", 0)
	FLAG("DE", 1)
	FLAG("ZE", 2)
	FLAG("OE", 3)
	FLAG("UE", 4)
	FLAG("PE", 5)
	FLAG("DAZ", 6)
	FLAG("IM", 7)
	FLAG("DM", 8)
	FLAG("ZM", 9)
	FLAG("OM", 10)
	FLAG("UM", 11)
	FLAG("PM", 12)
	FLAG("FZ", 15)
	"</flags>\n"
	REGISTER("xmm0", 128, "vec128", 40)
	REGISTER("xmm1", 128, "vec128", 41)
	REGISTER("xmm2", 128, "vec128", 42)
	REGISTER("xmm3", 128, "vec128", 43)
	REGISTER("xmm4", 128, "vec128", 44)
	REGISTER("xmm5", 128, "vec128", 45)
	REGISTER("xmm6", 128, "vec128", 46)
	REGISTER("xmm7", 128, "vec128", 47)
	REGISTER("xmm8", 128, "vec128", 48)
	REGISTER("xmm9", 128, "vec128", 49)
	REGISTER("xmm10", 128, "vec128", 50)
	REGISTER("xmm11", 128, "vec128", 51)
	REGISTER("xmm12", 128, "vec128", 52)
	REGISTER("xmm13", 128, "vec128", 53)
	REGISTER("xmm14", 128, "vec128", 54)
	REGISTER("xmm15", 128, "vec128", 55)
	"<reg name=\"mxcsr\" bitsize=\"32\" type=\"i386_mxcsr\" regnum=\"56\" group=\"vector\"/>\n"
	"</feature>\n"
	"<feature name=\"org.gnu.gdb.i386.linux\">\n"
	REGISTER("orig_rax", 64, "int", 57)
	"</feature>\n"
	"<feature name=\"org.gnu.gdb.i386.segments\">\n"
	REGISTER("fs_base", 64, "int", 58)
	REGISTER("gs_base", 64, "int", 59)
	"</feature>\n"
	"<feature name=\"org.backhop.position\">\n"
	POSITION("node", "int64", 60)
	POSITION("event", "uint64", 61)
	POSITION("vtime", "uint64", 62)
	POSITION("packet", "uint64", 63)
	POSITION("task", "int64", 64)
	POSITION("packet_break", "uint64", 65)
	"</feature>\n"
	"</target>\n";
/* clang-format on */
