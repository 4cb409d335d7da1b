/*
 * The loaded objects, walked without the loader's help:
 *
 *   getauxval(AT_PHDR) -> program headers of the executable -> its PT_DYNAMIC -> DT_DEBUG
 *     -> struct r_debug -> list of struct link_map, in load order
 *   each object: l_ld -> DT_SYMTAB, DT_STRTAB, DT_GNU_HASH or DT_HASH, DT_VERSYM
 *
 * Both glibc and musl keep these for debuggers. The walk reads what the loader wrote and takes no
 * lock: it runs in the constructor (or in a hook called before it), when the list of the objects
 * that were there at the start is complete.
 */
#include "shim/real.h"

#include "shim/sys.h"
#include "shim/text.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>

#if !defined(SHIM_UNIT_TEST) &&                                                                    \
	(defined(__SSP__) || defined(__SSP_STRONG__) || defined(__SSP_ALL__))
#error "the shim needs -fno-stack-protector last: a process without a libc has no canary to read"
#endif

/* In both libcs; weak, because a program without a libc has neither. */
extern unsigned long getauxval(unsigned long type) __attribute__((weak));
extern void *dlsym(void *handle, const char *name) __attribute__((weak));
extern int dl_iterate_phdr(int (*callback)(struct dl_phdr_info *info, size_t size, void *data),
			   void *data) __attribute__((weak));

/* An object's symbol table. */
struct symbols {
	const ElfW(Sym) * table;
	const char *names;
	const uint32_t *gnu_hash;
	const uint32_t *sysv_hash;
	const uint16_t *versions;
	ElfW(Addr) base;
};

/* The list that an executable's dynamic section leads to; NULL if it leads to none. */
static struct link_map *list_from(ElfW(Addr) base, const ElfW(Phdr) * headers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (headers[i].p_type != PT_DYNAMIC)
			continue;
		const ElfW(Dyn) *d = (const ElfW(Dyn) *)(base + headers[i].p_vaddr);
		for (; d->d_tag != DT_NULL; d++) {
			if (d->d_tag == DT_DEBUG && d->d_un.d_ptr)
				return ((struct r_debug *)d->d_un.d_ptr)->r_map;
		}
	}
	return NULL;
}

/* What the kernel said of the executable. Not all have a PT_PHDR, without which nobody knows where a
 * position-independent one lies. */
static struct link_map *list_by_kernel(void)
{
	const ElfW(Phdr) *headers = getauxval ? (const ElfW(Phdr) *)getauxval(AT_PHDR) : NULL;
	size_t count = headers ? getauxval(AT_PHNUM) : 0;
	for (size_t i = 0; i < count; i++) {
		if (headers[i].p_type == PT_PHDR)
			return list_from((ElfW(Addr))headers - headers[i].p_vaddr, headers, count);
	}
	return NULL;
}

static int take_first(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	*(struct link_map **)data = list_from(info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum);
	return 1;
}

static struct link_map *first_object(void)
{
	struct link_map *first = list_by_kernel();
	/* What the kernel started is the loader itself where it is called as a program and given the
	 * executable's name (ld-musl-x86_64.so.1 PROGRAM); it tells of the executable first. */
	if (!first && dl_iterate_phdr)
		dl_iterate_phdr(take_first, &first);
	return first;
}

static struct link_map *own_object(void)
{
	/* The address of our own dynamic section is what the loader put into our l_ld. */
	extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));
	for (struct link_map *m = first_object(); m; m = m->l_next) {
		if (m->l_ld == _DYNAMIC)
			return m;
	}
	return NULL;
}

/* glibc rewrites the addresses in the dynamic section to absolute ones, musl leaves them as they
 * are in the file: what lies below the load address is still relative to it. */
static const void *absolute(const struct link_map *m, ElfW(Addr) address)
{
	return (const void *)(address < m->l_addr ? address + m->l_addr : address);
}

static bool symbols_of(const struct link_map *m, struct symbols *s)
{
	*s = (struct symbols){.base = m->l_addr};
	if (!m->l_ld)
		return false;
	for (const ElfW(Dyn) *d = m->l_ld; d->d_tag != DT_NULL; d++) {
		const void *at = absolute(m, d->d_un.d_ptr);
		if (d->d_tag == DT_SYMTAB)
			s->table = at;
		else if (d->d_tag == DT_STRTAB)
			s->names = at;
		else if (d->d_tag == DT_GNU_HASH)
			s->gnu_hash = at;
		else if (d->d_tag == DT_HASH)
			s->sysv_hash = at;
		else if (d->d_tag == DT_VERSYM)
			s->versions = at;
	}
	return s->table && s->names && (s->gnu_hash || s->sysv_hash);
}

/* A definition that a lookup without version finds: the default version of a function or object. */
static bool symbol_fits(const struct symbols *s, uint32_t i, const char *name)
{
	const ElfW(Sym) *sym = &s->table[i];
	unsigned type = sym->st_info & 0xf, bind = sym->st_info >> 4;
	if (sym->st_shndx == SHN_UNDEF || !sym->st_value)
		return false;
	if (type != STT_FUNC && type != STT_OBJECT && type != STT_GNU_IFUNC && type != STT_NOTYPE)
		return false;
	if (bind != STB_GLOBAL && bind != STB_WEAK)
		return false;
	if (s->versions && (s->versions[i] & 0x8000)) /* a hidden, older version */
		return false;
	return text_equal(s->names + sym->st_name, name);
}

static const ElfW(Sym) * lookup_gnu(const struct symbols *s, const char *name)
{
	const uint32_t *t = s->gnu_hash;
	uint32_t buckets = t[0], first = t[1], bloom_words = t[2];
	const uint32_t *bucket = t + 4 + bloom_words * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
	const uint32_t *chain = bucket + buckets;
	if (!buckets)
		return NULL;
	uint32_t hash = 5381;
	for (const char *p = name; *p; p++)
		hash = hash * 33 + (uint8_t)*p;
	uint32_t i = bucket[hash % buckets];
	if (i < first) /* an empty bucket is 0 */
		return NULL;
	for (;; i++) {
		uint32_t h = chain[i - first];
		if ((h | 1) == (hash | 1) && symbol_fits(s, i, name))
			return &s->table[i];
		if (h & 1)
			return NULL;
	}
}

static const ElfW(Sym) * lookup_sysv(const struct symbols *s, const char *name)
{
	uint32_t buckets = s->sysv_hash[0], count = s->sysv_hash[1];
	const uint32_t *bucket = s->sysv_hash + 2, *chain = bucket + buckets;
	if (!buckets)
		return NULL;
	uint32_t hash = 0;
	for (const char *p = name; *p; p++) {
		hash = (hash << 4) + (uint8_t)*p;
		hash = (hash ^ ((hash & 0xf0000000u) >> 24)) & 0x0fffffffu;
	}
	for (uint32_t i = bucket[hash % buckets]; i && i < count; i = chain[i]) {
		if (symbol_fits(s, i, name))
			return &s->table[i];
	}
	return NULL;
}

static void *find_in(const struct link_map *m, const char *name)
{
	struct symbols s;
	if (!symbols_of(m, &s))
		return NULL;
	const ElfW(Sym) *sym = s.gnu_hash ? lookup_gnu(&s, name) : lookup_sysv(&s, name);
	if (!sym)
		return NULL;
	ElfW(Addr) at = s.base + sym->st_value;
	if ((sym->st_info & 0xf) == STT_GNU_IFUNC)
		at = ((ElfW(Addr)(*)(void))at)();
	return (void *)at;
}

void *real_find(const char *symbol)
{
	struct link_map *own = own_object();
	for (struct link_map *m = own ? own->l_next : NULL; m; m = m->l_next) {
		void *at = find_in(m, symbol);
		if (at)
			return at;
	}
	/* Loaders that keep no list for debuggers, if there are any. RTLD_NEXT is -1 in all libcs. */
	return !own && dlsym ? dlsym((void *)-1L, symbol) : NULL;
}

const char *real_own_path(void)
{
	struct link_map *own = own_object();
	return own && own->l_name && *own->l_name ? own->l_name : NULL;
}

/* ---- by caller ---------------------------------------------------------------------------------- */

struct lookup {
	const void *caller;
	const char *symbol;
	ElfW(Addr) base; /* of the caller's object */
	bool has_base;
	void *found;
};

static int contains_caller(struct dl_phdr_info *info, size_t size, void *data)
{
	struct lookup *l = data;
	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		ElfW(Addr) at = (ElfW(Addr))l->caller - info->dlpi_addr - p->p_vaddr;
		if (p->p_type == PT_LOAD && at < p->p_memsz) {
			l->base = info->dlpi_addr;
			l->has_base = true;
			return 1;
		}
	}
	return 0;
}

/* The loaded object that goes by the name of a DT_NEEDED. */
static const struct link_map *object_named(const char *name)
{
	for (const struct link_map *m = first_object(); m; m = m->l_next) {
		if (m->l_name && text_equal(text_basename(m->l_name), text_basename(name)))
			return m;
	}
	return NULL;
}

/* In the libraries that an object needs, and `depth` levels on in those that these need. */
static void *find_in_needed(const struct link_map *m, const char *symbol, int depth)
{
	struct symbols s;
	if (!symbols_of(m, &s))
		return NULL;
	for (const ElfW(Dyn) *d = m->l_ld; d->d_tag != DT_NULL; d++) {
		const struct link_map *needed =
			d->d_tag == DT_NEEDED ? object_named(s.names + d->d_un.d_val) : NULL;
		void *at = needed ? find_in(needed, symbol) : NULL;
		if (at)
			return at;
	}
	for (const ElfW(Dyn) *d = m->l_ld; depth && d->d_tag != DT_NULL; d++) {
		const struct link_map *needed =
			d->d_tag == DT_NEEDED ? object_named(s.names + d->d_un.d_val) : NULL;
		void *at = needed ? find_in_needed(needed, symbol, depth - 1) : NULL;
		if (at)
			return at;
	}
	return NULL;
}

/* Called with the loader's lock held: glibc frees objects that are closed. Once is enough. */
static int find_for_caller(struct dl_phdr_info *info, size_t size, void *data)
{
	struct lookup *l = data;
	const struct link_map *own = own_object();
	(void)info;
	(void)size;
	for (const struct link_map *m = first_object(); l->has_base && m && !l->found;
	     m = m->l_next) {
		if (m->l_addr == l->base && m != own)
			l->found = find_in_needed(m, l->symbol, 1);
	}
	for (const struct link_map *m = first_object(); m && !l->found; m = m->l_next) {
		if (m != own)
			l->found = find_in(m, l->symbol);
	}
	return 1;
}

void *real_find_for(const void *caller, const char *symbol)
{
	struct lookup l = {.caller = caller, .symbol = symbol};
	if (!dl_iterate_phdr)
		return real_find(symbol);
	dl_iterate_phdr(contains_caller, &l);
	dl_iterate_phdr(find_for_caller, &l);
	return l.found;
}

/* ---- the table ---------------------------------------------------------------------------------- */

static long no_such_function(void)
{
	if (shim_real.errno_location)
		*shim_real.errno_location() = ENOSYS;
	return -1;
}

/* ---- what a libc lacks -------------------------------------------------------------------------- */

/* A program may ask by a weak reference or dlsym whether its libc has one of the newer functions, and
 * finds ours: then it must do what its name says. */

static int close_range_by_kernel(unsigned first, unsigned last, int flags)
{
	long result = sys3(SYS_close_range, first, last, flags);
	if (result >= 0)
		return (int)result;
	if (shim_real.errno_location)
		*shim_real.errno_location() = (int)-result;
	return -1;
}

/* It cannot fail. Kernels before 5.9 are asked for one after the other. */
static void closefrom_by_kernel(int first)
{
	uint64_t limit[2] = {0, 0}; /* struct rlimit64: soft, hard */
	unsigned from = first < 0 ? 0 : (unsigned)first;
	if (sys3(SYS_close_range, from, ~0u, 0) >= 0)
		return;
	sys4(SYS_prlimit64, 0, 7 /* RLIMIT_NOFILE */, 0, limit);
	for (uint64_t fd = from; fd < limit[0] && fd < INT32_MAX; fd++)
		sys1(SYS_close, fd);
}

static void *stand_in(const char *name)
{
	if (text_equal(name, "close_range"))
		return (void *)close_range_by_kernel;
	if (text_equal(name, "closefrom"))
		return (void *)closefrom_by_kernel;
	if (text_equal(name, "fcntl64"))
		return real_find("fcntl");
	if (text_equal(name, "sendfile64"))
		return real_find("sendfile");
	return NULL;
}

#define X(result, name, parameters, arguments)                                                     \
	static result early_##name parameters                                                      \
	{                                                                                          \
		real_resolve();                                                                    \
		return (result)shim_real.name arguments;                                           \
	}
SHIM_HOOKS(X)
#undef X

struct shim_real shim_real = {
#define X(result, name, parameters, arguments) .name = early_##name,
	SHIM_HOOKS(X)
#undef X
};

void real_resolve(void)
{
	/* Two threads may do this at once: both store the same values. */
	shim_real.errno_location = (int *(*)(void))real_find("__errno_location");
	shim_real.clock_gettime = (int (*)(clockid_t, struct timespec *))real_find("clock_gettime");
#define X(result, name, parameters, arguments)                                                     \
	{                                                                                          \
		void *at = real_find(#name);                                                       \
		if (!at)                                                                           \
			at = stand_in(#name);                                                      \
		if (!at)                                                                           \
			at = (void *)no_such_function;                                             \
		__atomic_store_n((void **)&shim_real.name, at, __ATOMIC_RELAXED);                  \
	}
	SHIM_HOOKS(X)
#undef X
}
