#include "tools/elf.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <string.h>
#include <unistd.h>

/* A stripped Go program keeps its note; one without a build id keeps .go.buildinfo. */
static bool is_go_section(const char *name)
{
	return strcmp(name, ".go.buildinfo") == 0 || strcmp(name, ".note.go.buildid") == 0 ||
	       strcmp(name, ".gopclntab") == 0;
}

static void read_sections(Elf *elf, struct elf_facts *facts)
{
	size_t names;
	if (elf_getshdrstrndx(elf, &names) != 0)
		return;
	for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
		GElf_Shdr header;
		if (!gelf_getshdr(section, &header))
			continue;
		const char *name = elf_strptr(elf, names, header.sh_name);
		if (name && is_go_section(name))
			facts->go = true;
	}
}

static void read_segments(Elf *elf, struct elf_facts *facts)
{
	size_t count;
	if (elf_getphdrnum(elf, &count) != 0)
		return;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr header;
		if (gelf_getphdr(elf, (int)i, &header) && header.p_type == PT_INTERP)
			facts->interpreter = true;
	}
}

static int read_elf(Elf *elf, struct elf_facts *facts)
{
	GElf_Ehdr header;
	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header))
		return -ENOEXEC;
	struct elf_facts found = {
		.machine = header.e_machine,
		.class = header.e_ident[EI_CLASS],
		.shared = header.e_type == ET_DYN,
	};
	read_segments(elf, &found);
	read_sections(elf, &found);
	*facts = found;
	return 0;
}

int elf_read(const char *path, struct elf_facts *facts)
{
	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOSYS;
	/* O_NONBLOCK: a path that names a FIFO must not hold us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	int ret = read_elf(elf, facts);
	elf_end(elf);
	close(fd);
	return ret;
}

const char *elf_machine_name(uint16_t machine)
{
	static const struct {
		uint16_t machine;
		const char *name;
	} names[] = {
		{EM_X86_64, "x86-64"}, {EM_386, "x86"},	  {EM_AARCH64, "arm64"}, {EM_ARM, "arm"},
		{EM_PPC64, "ppc64"},   {EM_S390, "s390"}, {EM_RISCV, "riscv"},
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].machine == machine)
			return names[i].name;
	}
	return "another machine";
}
