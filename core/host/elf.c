/* SPDX-License-Identifier: Apache-2.0 */
#include "host/elf.h"

#include <elf.h>
#include <link.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OWN_ORDER ELFDATA2LSB
#else
#define OWN_ORDER ELFDATA2MSB
#endif
#define OWN_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#elif defined(__i386__)
#define OWN_MACHINE EM_386
#elif defined(__arm__)
#define OWN_MACHINE EM_ARM
#elif defined(__riscv)
#define OWN_MACHINE EM_RISCV
#elif defined(__powerpc64__)
#define OWN_MACHINE EM_PPC64
#elif defined(__s390x__)
#define OWN_MACHINE EM_S390
#else
#error "which e_machine is this?"
#endif

static const struct {
	unsigned number;
	const char *name;
} machines[] = {
	{ EM_X86_64, "x86-64" }, { EM_AARCH64, "AArch64" }, { EM_386, "x86" },    { EM_ARM, "ARM" },
	{ EM_RISCV, "RISC-V" },  { EM_PPC64, "PowerPC" },   { EM_S390, "s390x" },
};

static const char *machine_name(unsigned number)
{
	for (size_t i = 0; i < ARRAY_LENGTH(machines); i++)
		if (machines[i].number == number)
			return machines[i].name;
	return "another machine";
}

static int refuse(struct buffer *message, const char *text)
{
	buffer_add_text(message, text);
	return ELF_E_UNFIT;
}

/* A copy, as nothing in a file is aligned. False if it does not lie within the bytes. */
static bool take(struct span file, uint64_t offset, void *ret_object, size_t n)
{
	if (offset > file.n || n > file.n - offset)
		return false;
	memcpy(ret_object, file.data + offset, n);
	return true;
}

static bool lies_within(struct span file, uint64_t offset, uint64_t n)
{
	return offset <= file.n && n <= file.n - offset;
}

static int judge_head(struct span file, ElfW(Ehdr) * ret_head, struct buffer *message)
{
	if (file.n == 0)
		return refuse(message, "is empty; a plugin is a shared object, as cc -shared makes it");
	if (!span_starts_with(file, SPAN(ELFMAG)))
		return refuse(message, "is no ELF file; a plugin is a shared object, as cc -shared makes it");
	if (!take(file, 0, ret_head, sizeof *ret_head))
		return refuse(message, "is cut short: it ends within its head");
	if (ret_head->e_ident[EI_CLASS] != OWN_CLASS || ret_head->e_ident[EI_DATA] != OWN_ORDER ||
		ret_head->e_machine != OWN_MACHINE) {
		buffer_add_printf(message, "is built for %s%s; this machine wants %s", machine_name(ret_head->e_machine),
						  ret_head->e_ident[EI_CLASS] == OWN_CLASS ? "" : " in another word size",
						  machine_name(OWN_MACHINE));
		return ELF_E_UNFIT;
	}
	if (ret_head->e_type != ET_DYN)
		return refuse(message, "is no shared object; link it with -shared");
	if (ret_head->e_phentsize != sizeof(ElfW(Phdr)) || ret_head->e_shentsize != sizeof(ElfW(Shdr)))
		return refuse(message, "is no shared object that can be read: its tables have rows of another size");
	return ELF_OK;
}

/* The loader maps segments without a look at the file's length, and the kernel kills who reads behind the end. */
static int judge_segments(struct span file, const ElfW(Ehdr) * head, struct buffer *message)
{
	for (size_t i = 0; i < head->e_phnum; i++) {
		ElfW(Phdr) segment;
		if (!take(file, head->e_phoff + i * sizeof segment, &segment, sizeof segment) ||
			!lies_within(file, segment.p_offset, segment.p_filesz))
			return refuse(message, "is cut short: a segment lies behind its end");
		if (segment.p_type == PT_INTERP)
			return refuse(message, "is a program, not a shared object; link it with -shared");
	}
	return ELF_OK;
}

static bool get_section(struct span file, const ElfW(Ehdr) * head, size_t index, ElfW(Shdr) * ret_section)
{
	return index < head->e_shnum &&
		   take(file, head->e_shoff + index * sizeof *ret_section, ret_section, sizeof *ret_section) &&
		   (ret_section->sh_type == SHT_NOBITS || lies_within(file, ret_section->sh_offset, ret_section->sh_size));
}

/* The bytes of the file that are mapped at the address, up to the end of their segment. */
static struct span bytes_at(struct span file, const ElfW(Ehdr) * head, uint64_t address)
{
	for (size_t i = 0; i < head->e_phnum; i++) {
		ElfW(Phdr) segment;
		if (take(file, head->e_phoff + i * sizeof segment, &segment, sizeof segment) && segment.p_type == PT_LOAD &&
			address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz)
			return span_of(file.data + segment.p_offset + (address - segment.p_vaddr),
						   segment.p_filesz - (address - segment.p_vaddr));
	}
	return span_of(NULL, 0);
}

static bool is_named(struct span file, const ElfW(Shdr) * names, uint64_t offset, struct span name)
{
	if (offset >= names->sh_size || names->sh_size - offset <= name.n)
		return false;
	const char *text = file.data + names->sh_offset + offset;
	return memcmp(text, name.data, name.n) == 0 && text[name.n] == '\0';
}

static bool find_symbol(struct span file, const ElfW(Ehdr) * head, const ElfW(Shdr) * table, struct span name,
						ElfW(Sym) * ret_symbol)
{
	ElfW(Shdr) names;
	if (!get_section(file, head, table->sh_link, &names) || names.sh_type != SHT_STRTAB)
		return false;
	for (uint64_t at = 0; at + sizeof *ret_symbol <= table->sh_size; at += sizeof *ret_symbol)
		if (take(file, table->sh_offset + at, ret_symbol, sizeof *ret_symbol) && ret_symbol->st_shndx != SHN_UNDEF &&
			is_named(file, &names, ret_symbol->st_name, name))
			return true;
	return false;
}

int elf_find_data(struct span file, const char *name, size_t least, struct span *ret_symbol, struct buffer *message)
{
	ElfW(Ehdr) head;
	ElfW(Shdr) table;
	ElfW(Sym) symbol;
	int r = judge_head(file, &head, message);
	if (r == ELF_OK)
		r = judge_segments(file, &head, message);
	if (r != ELF_OK)
		return r;
	bool is_found = false;
	for (size_t i = 0; i < head.e_shnum; i++) {
		if (!get_section(file, &head, i, &table))
			return refuse(message, "is cut short: a section lies behind its end");
		is_found =
			is_found || (table.sh_type == SHT_DYNSYM && find_symbol(file, &head, &table, span_text(name), &symbol));
	}
	if (!is_found) {
		buffer_add_printf(message, "has no symbol %s; a plugin ends with BELFRY_PLUGIN(...)", name);
		return ELF_E_UNFIT;
	}
	struct span bytes = bytes_at(file, &head, symbol.st_value);
	bytes.n = bytes.n < symbol.st_size ? bytes.n : symbol.st_size;
	if ((symbol.st_info & 0xf) != STT_OBJECT || bytes.n < least) {
		buffer_add_printf(message, "has a symbol %s that is no struct belfry_plugin; let BELFRY_PLUGIN(...) make it",
						  name);
		return ELF_E_UNFIT;
	}
	*ret_symbol = bytes;
	return ELF_OK;
}
