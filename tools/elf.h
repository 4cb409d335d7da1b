/*
 * elf.h - the facts of an ELF file that decide whether a library can be preloaded into it.
 *
 * Reads with libelf, which copes with files of any class and byte order, cut or hostile. Decides
 * nothing: that is observe.h.
 */
#ifndef TOOLS_ELF_H
#define TOOLS_ELF_H

#include <stdbool.h>
#include <stdint.h>

struct elf_facts {
	uint16_t machine; /* EM_X86_64, ... */
	uint8_t class;	  /* ELFCLASS32, ELFCLASS64 */
	bool shared;	  /* ET_DYN: a library or a position-independent program */
	bool interpreter; /* PT_INTERP: started by a dynamic loader, the one that reads LD_PRELOAD */
	bool go;	  /* linked by Go's linker */
};

/* 0; -ENOEXEC if the file is not a readable ELF file; or another -errno. */
int elf_read(const char *path, struct elf_facts *facts);

/* A name of the machine for messages: "x86-64", "arm64", ... never NULL. */
const char *elf_machine_name(uint16_t machine);

#endif
