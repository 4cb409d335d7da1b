#include "tools/elf.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <string.h>
#include <sys/stat.h>
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

/* Not through libelf, which keeps no such bytes. What is no whole absolute path is none. */
static void read_loader(const struct elf_file *file, const GElf_Phdr *header,
			struct elf_facts *facts)
{
	facts->interpreter = true;
	if (header->p_filesz < 2 || header->p_filesz > sizeof(facts->loader) ||
	    header->p_offset > file->bytes)
		return;
	char path[ELF_LOADER_BYTES];
	ssize_t n = pread(file->fd, path, header->p_filesz, (off_t)header->p_offset);
	if (n == (ssize_t)header->p_filesz && path[0] == '/' && path[n - 1] == '\0')
		memcpy(facts->loader, path, (size_t)n);
}

static void read_segments(const struct elf_file *file, struct elf_facts *facts)
{
	size_t count;
	if (elf_getphdrnum(file->elf, &count) != 0)
		return;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr header;
		if (gelf_getphdr(file->elf, (int)i, &header) && header.p_type == PT_INTERP)
			read_loader(file, &header, facts);
	}
}

int elf_facts_of(const struct elf_file *file, struct elf_facts *facts)
{
	GElf_Ehdr header;
	if (!gelf_getehdr(file->elf, &header))
		return -ENOEXEC;
	memset(facts, 0, sizeof(*facts));
	facts->machine = header.e_machine;
	facts->class = header.e_ident[EI_CLASS];
	facts->shared = header.e_type == ET_DYN;
	read_segments(file, facts);
	read_sections(file->elf, facts);
	return 0;
}

static int open_regular(const char *path, uint64_t *bytes)
{
	struct stat st;
	/* O_NONBLOCK: a path that names a FIFO must not hold us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -ENOEXEC;
	}
	*bytes = (uint64_t)st.st_size;
	return fd;
}

int elf_open(const char *path, struct elf_file *file)
{
	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOSYS;
	struct elf_file f = {0};
	f.fd = open_regular(path, &f.bytes);
	if (f.fd < 0)
		return f.fd;
	f.elf = elf_begin(f.fd, ELF_C_READ, NULL);
	if (!f.elf || elf_kind(f.elf) != ELF_K_ELF) {
		elf_close(&f);
		return -ENOEXEC;
	}
	*file = f;
	return 0;
}

void elf_close(struct elf_file *file)
{
	elf_end(file->elf);
	close(file->fd);
}

int elf_read(const char *path, struct elf_facts *facts)
{
	struct elf_file file;
	int ret = elf_open(path, &file);
	if (ret)
		return ret;
	ret = elf_facts_of(&file, facts);
	elf_close(&file);
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
