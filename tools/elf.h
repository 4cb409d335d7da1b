/*
 * elf.h - the facts of an ELF file that decide whether a library can be preloaded into it.
 *
 * Reads with libelf, which copes with files of any class and byte order, cut or hostile. Decides
 * nothing: that is observe.h. What is linked to the file: elf_link.h; what TLS is inside: elf_tls.h.
 */
#ifndef TOOLS_ELF_H
#define TOOLS_ELF_H

#include <libelf.h>
#include <stdbool.h>
#include <stdint.h>

#define ELF_LOADER_BYTES 256

struct elf_facts {
	uint16_t machine; /* EM_X86_64, ... */
	uint8_t class;	  /* ELFCLASS32, ELFCLASS64 */
	bool shared;	  /* ET_DYN: a library or a position-independent program */
	bool interpreter; /* PT_INTERP: started by a dynamic loader, the one that reads LD_PRELOAD */
	bool go;	  /* linked by Go's linker */
	char loader[ELF_LOADER_BYTES]; /* what PT_INTERP names; empty if it cannot be a path */
};

/* 0; -ENOEXEC if the file is not a readable ELF file; or another -errno. */
int elf_read(const char *path, struct elf_facts *facts);

/* A file that is open; what libelf gives of it lives until elf_close. */
struct elf_file {
	int fd;
	Elf *elf;
	uint64_t bytes; /* of the file */
};

/* As elf_read. Only regular files: a FIFO or a device would hold us, or give bytes without end. */
int elf_open(const char *path, struct elf_file *file);
void elf_close(struct elf_file *file);
int elf_facts_of(const struct elf_file *file, struct elf_facts *facts);

/* A name of the machine for messages: "x86-64", "arm64", ... never NULL. */
const char *elf_machine_name(uint16_t machine);

#endif
