#include "tools/elf_link.h"

#include <errno.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* False if the string is not there or does not fit: half a name is a wrong one. */
static bool copy_string(Elf *elf, size_t section, size_t offset, char *to, size_t room)
{
	const char *text = elf_strptr(elf, section, offset);
	if (!text || strlen(text) >= room)
		return false;
	memcpy(to, text, strlen(text) + 1);
	return true;
}

static int add_needed(Elf *elf, size_t strings, size_t offset, struct elf_link *link)
{
	if (link->needed_count == ELF_NEEDED_MAX)
		return 0;
	if (!link->needed)
		link->needed = calloc(ELF_NEEDED_MAX, sizeof(*link->needed));
	if (!link->needed)
		return -ENOMEM;
	char *to = link->needed[link->needed_count];
	if (copy_string(elf, strings, offset, to, ELF_NAME_BYTES) && to[0])
		link->needed_count++;
	return 0;
}

static int read_dynamic(Elf *elf, Elf_Scn *section, const GElf_Shdr *header, struct elf_link *link)
{
	Elf_Data *data = elf_getdata(section, NULL);
	size_t each = gelf_fsize(elf, ELF_T_DYN, 1, EV_CURRENT);
	if (!data || !each)
		return 0;
	size_t strings = header->sh_link;
	int ret = 0;
	for (size_t i = 0; i < data->d_size / each && i < INT32_MAX && !ret; i++) {
		GElf_Dyn entry;
		if (!gelf_getdyn(data, (int)i, &entry) || entry.d_tag == DT_NULL)
			break;
		size_t at = entry.d_un.d_val;
		if (entry.d_tag == DT_NEEDED)
			ret = add_needed(elf, strings, at, link);
		else if (entry.d_tag == DT_SONAME)
			copy_string(elf, strings, at, link->soname, sizeof(link->soname));
		else if (entry.d_tag == DT_RPATH)
			copy_string(elf, strings, at, link->rpath, sizeof(link->rpath));
		else if (entry.d_tag == DT_RUNPATH)
			copy_string(elf, strings, at, link->runpath, sizeof(link->runpath));
	}
	return ret;
}

/* "GLIBC_2.34" is newer than "GLIBC_2.4"; GLIBC_PRIVATE and GLIBC_ABI_... are no versions. */
static void note_version(const char *name, struct elf_link *link)
{
	unsigned int major, minor, had_major = 0, had_minor = 0;
	if (sscanf(name, "GLIBC_%u.%u", &major, &minor) != 2)
		return;
	if (link->glibc[0] && sscanf(link->glibc, "%u.%u", &had_major, &had_minor) != 2)
		return;
	if (major > had_major || (major == had_major && minor > had_minor))
		snprintf(link->glibc, sizeof(link->glibc), "%u.%u", major, minor);
}

/* Each file has a list of its versions, and the files are one; offsets go forward only, so both end. */
static void read_versions(Elf *elf, Elf_Scn *section, const GElf_Shdr *header,
			  struct elf_link *link)
{
	Elf_Data *data = elf_getdata(section, NULL);
	if (!data || data->d_size > INT32_MAX)
		return;
	GElf_Verneed file;
	for (size_t at = 0; at < data->d_size; at += file.vn_next) {
		if (!gelf_getverneed(data, (int)at, &file))
			return;
		GElf_Vernaux version;
		size_t part = at + file.vn_aux;
		for (size_t i = 0; i < file.vn_cnt && part < data->d_size; i++) {
			if (!gelf_getvernaux(data, (int)part, &version))
				return;
			const char *name = elf_strptr(elf, header->sh_link, version.vna_name);
			if (name)
				note_version(name, link);
			if (version.vna_next == 0)
				break;
			part += version.vna_next;
		}
		if (file.vn_next == 0)
			return;
	}
}

int elf_link_read(const struct elf_file *file, struct elf_link *link)
{
	int ret = 0;
	memset(link, 0, sizeof(*link));
	for (Elf_Scn *section = NULL; !ret && (section = elf_nextscn(file->elf, section));) {
		GElf_Shdr header;
		if (!gelf_getshdr(section, &header))
			continue;
		if (header.sh_type == SHT_DYNAMIC)
			ret = read_dynamic(file->elf, section, &header, link);
		else if (header.sh_type == SHT_GNU_verneed)
			read_versions(file->elf, section, &header, link);
	}
	if (ret)
		elf_link_release(link);
	return ret;
}

void elf_link_release(struct elf_link *link)
{
	free(link->needed);
	link->needed = NULL;
	link->needed_count = 0;
}

void elf_symbols(const struct elf_file *file, bool all, size_t most,
		 void (*found)(void *user, const struct elf_symbol *symbol), void *user)
{
	size_t each = gelf_fsize(file->elf, ELF_T_SYM, 1, EV_CURRENT);
	for (Elf_Scn *section = NULL; each && (section = elf_nextscn(file->elf, section));) {
		GElf_Shdr header;
		if (!gelf_getshdr(section, &header) ||
		    (header.sh_type != SHT_DYNSYM && !(all && header.sh_type == SHT_SYMTAB)) ||
		    header.sh_size / each > most)
			continue;
		Elf_Data *data = elf_getdata(section, NULL);
		for (size_t i = 1; data && i < data->d_size / each; i++) {
			GElf_Sym raw;
			if (!gelf_getsym(data, (int)i, &raw))
				break;
			struct elf_symbol symbol = {
				.name = elf_strptr(file->elf, header.sh_link, raw.st_name),
				.defined = raw.st_shndx != SHN_UNDEF,
				.function = GELF_ST_TYPE(raw.st_info) == STT_FUNC,
			};
			if (symbol.name && symbol.name[0])
				found(user, &symbol);
		}
	}
}
