/*
 * elf_link.h - what the dynamic loader does with an ELF file: the libraries it asks for, where it wants
 * them searched, and the symbols it imports and defines. Facts of one file; elf_needed.h follows them.
 *
 * Read by section headers, as strip(1) leaves them. A file without any tells nothing.
 */
#ifndef TOOLS_ELF_LINK_H
#define TOOLS_ELF_LINK_H

#include "tools/elf.h"

#define ELF_NEEDED_MAX                                                                             \
	256 /* libraries of one file; what asks for more is no program of this world */
#define ELF_NAME_BYTES	 256
#define ELF_PATHS_BYTES	 4096
#define ELF_SYMBOLS_MAX	 (4u << 20) /* of one table; libtorch_cuda has 0.6 million */
#define ELF_VERSION_SIZE 32

struct elf_link {
	char soname[ELF_NAME_BYTES];
	char rpath[ELF_PATHS_BYTES]; /* DT_RPATH, DT_RUNPATH: as they are, with their $ORIGIN */
	char runpath[ELF_PATHS_BYTES];
	char glibc[ELF_VERSION_SIZE];	/* "2.34": the newest GLIBC_ version it wants; or empty */
	char (*needed)[ELF_NAME_BYTES]; /* DT_NEEDED, in their order */
	size_t needed_count;
};

/* Fills *link, to be released. 0 or -ENOMEM; what cannot be read is left empty. */
int elf_link_read(const struct elf_file *file, struct elf_link *link);
void elf_link_release(struct elf_link *link);

struct elf_symbol {
	const char *name;
	bool defined; /* else it is imported */
	bool function;
};

/* Each named symbol of .dynsym, or, with `all`, also of .symtab. A table of more than `most` is passed by
 * (ELF_SYMBOLS_MAX, or less where time is short). */
void elf_symbols(const struct elf_file *file, bool all, size_t most,
		 void (*found)(void *user, const struct elf_symbol *symbol), void *user);

#endif
