# inferwire: what is built, checked and installed. `make help` lists the targets.
.DEFAULT_GOAL := all
VERSION := 0.1.0
PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   ?= build
PYTHON  ?= python3
Q := $(if $(V),,@)
SAY = $(if $(V),@:,@printf '  %-6s %s\n')

ifeq ($(origin CC),default)
CC := gcc
endif
CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Wconversion -Wno-sign-conversion -Wshadow -Wstrict-prototypes \
        -Wmissing-prototypes -Wpointer-arith -Wvla -Wundef $(WERROR)
OURS := -std=gnu11 -D_GNU_SOURCE -I. -DINFERWIRE_VERSION='"$(VERSION)"' -MMD -MP

# The Debian packages behind them: tools/deps.sh. Asked for once, and named where one is missing.
DEPS_OK := $(BUILD)/deps.ok
$(DEPS_OK): tools/deps.sh
	@mkdir -p $(@D)
	@sh tools/deps.sh --missing build || { echo 'make: these are missing: make deps installs them' >&2; exit 1; }
	@touch $@

PACKAGES := libcurl jansson libprotobuf-c libelf zlib libbrotlidec libzstd libnghttp2
DEP_CFLAGS = $(shell pkg-config --cflags $(PACKAGES))
DEP_LIBS   = $(shell pkg-config --libs $(PACKAGES)) -lm -lpthread

.PHONY: all
all: $(BUILD)/libinferwire.so $(BUILD)/inferwire-agent $(BUILD)/inferwire

# ---- the shim: one shared object that needs nothing, not even a libc ------------------------------
SHIM_SRC := $(wildcard shim/*.c)
SHIM_OBJ := $(SHIM_SRC:shim/%.c=$(BUILD)/so/%.o)
# Freestanding, and no transformation into calls of memcpy or strlen: an undefined symbol would kill
# the processes that lack it. Unwind tables, because a thread that is cancelled in a real call is
# unwound through the hook. The frame limit is for the small stacks that hooks may run on.
# gcc makes calls of memset from loops even without builtins, clang does not and lacks the option.
# On aarch64 gcc calls libgcc for atomics, which looks for the newer instructions when it is loaded.
SHIM_CC = $(eval SHIM_CC := $(shell $(CC) --version; $(CC) -dumpmachine))$(SHIM_CC)
SHIM_CFLAGS = -O2 -g -fPIC -ffreestanding -fno-builtin -fno-tree-slp-vectorize \
	$(if $(findstring clang,$(SHIM_CC)),,-fno-tree-loop-distribute-patterns) \
	$(if $(findstring aarch64,$(SHIM_CC)),-mno-outline-atomics -mbranch-protection=none) \
	-fno-stack-protector -fasynchronous-unwind-tables -fcf-protection=none -fvisibility=hidden \
	-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=0 -Wframe-larger-than=1024 $(SHIM_EXTRA)
SHIM_LDFLAGS := -shared -nostdlib -Wl,-soname,libinferwire.so -Wl,--version-script=shim/shim.map \
	-Wl,-z,defs -Wl,-z,nodelete -Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack -Wl,--hash-style=both \
	-Wl,--build-id

$(BUILD)/so/%.o: shim/%.c | $(DEPS_OK)
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) $(OURS) $(WARN) $(SHIM_CFLAGS) -c $< -o $@

$(BUILD)/libinferwire.so: $(SHIM_OBJ) shim/shim.map
	$(SAY) LINK $@
	$(Q)$(CC) $(SHIM_LDFLAGS) $(SHIM_OBJ) -o $@

# ---- the agent: folders are the stages of its pipeline, each an archive ---------------------------
STAGES := base intake http body call metrics export
GEN := $(BUILD)/gen

$(GEN)/otlp.pb-c.c: agent/export/otlp.proto | $(DEPS_OK)
	@mkdir -p $(@D)
	$(SAY) PROTOC $<
	$(Q)protoc-c --c_out=$(GEN) --proto_path=agent/export $<
$(GEN)/otlp.pb-c.h: $(GEN)/otlp.pb-c.c

# build_stages(flavour): rules for $(BUILD)/flavour/*.o and lib<stage>.a with $(flavour_CFLAGS)
define build_stages
$(BUILD)/$(1)/agent/export/%.o: agent/export/%.c | $(GEN)/otlp.pb-c.h $(DEPS_OK)
	@mkdir -p $$(@D)
	$$(SAY) CC $$<
	$$(Q)$$($(1)_CC) $(OURS) $(WARN) $$($(1)_CFLAGS) $$(DEP_CFLAGS) -I$(GEN) -c $$< -o $$@
$(BUILD)/$(1)/tools/%.o: tools/%.c | $(DEPS_OK)
	@mkdir -p $$(@D)
	$$(SAY) CC $$<
	$$(Q)$$($(1)_CC) $(OURS) $(WARN) $$($(1)_CFLAGS) $$(DEP_CFLAGS) -c $$< -o $$@
$(BUILD)/$(1)/libtools.a: $(patsubst %.c,$(BUILD)/$(1)/%.o,$(filter-out tools/inferwire.c,$(wildcard tools/*.c)))
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
$(BUILD)/$(1)/agent/%.o: agent/%.c | $(DEPS_OK)
	@mkdir -p $$(@D)
	$$(SAY) CC $$<
	$$(Q)$$($(1)_CC) $(OURS) $(WARN) $$($(1)_CFLAGS) $$(DEP_CFLAGS) -c $$< -o $$@
$(BUILD)/$(1)/gen/%.o: $(GEN)/%.c
	@mkdir -p $$(@D)
	$$(Q)$$($(1)_CC) $$($(1)_CFLAGS) -w -I$(GEN) -c $$< -o $$@
$(BUILD)/$(1)/shim/%.o: shim/%.c
	@mkdir -p $$(@D)
	$$(SAY) CC $$<
	$$(Q)$$($(1)_CC) $(OURS) $(WARN) $$($(1)_CFLAGS) -DSHIM_UNIT_TEST -c $$< -o $$@
$(BUILD)/$(1)/libshim.a: $(SHIM_SRC:%.c=$(BUILD)/$(1)/%.o)
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
$(foreach s,$(STAGES),
$(BUILD)/$(1)/lib$(s).a: $(patsubst %.c,$(BUILD)/$(1)/%.o,$(wildcard agent/$(s)/*.c)) $(if $(filter export,$(s)),$(BUILD)/$(1)/gen/otlp.pb-c.o)
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
)
endef

# The agent is optimised as a whole: an eighth of what an event costs is calls from file to file. Only by gcc, whose
# objects can be linked without it, too; clang would need another ar and linker. LTO= goes without.
LTO = $(if $(findstring clang,$(SHIM_CC)),,-flto=auto -ffat-lto-objects)

obj_CC     = $(CC)
obj_CFLAGS = $(LTO) $(CFLAGS)
$(eval $(call build_stages,obj))

libs_of = $(foreach s,$(2),$(BUILD)/$(1)/lib$(s).a)

$(BUILD)/inferwire-agent: $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard agent/*.c)) $(call libs_of,obj,export metrics call body http intake base)
	$(SAY) LINK $@
	$(Q)$(CC) $(LTO) $(CFLAGS) $(LDFLAGS) $^ $(DEP_LIBS) -o $@

# ---- the command ---------------------------------------------------------------------------------
$(BUILD)/inferwire: $(BUILD)/obj/tools/inferwire.o $(call libs_of,obj,tools export metrics call body http intake base)
	$(SAY) LINK $@
	$(Q)$(CC) $(CFLAGS) $(if $(LTO),-fno-lto) $(LDFLAGS) $^ $(DEP_LIBS) -o $@

# ---- what else can be made ------------------------------------------------------------------------
.PHONY: deps clean help
# Installs what the build and the tests need (Debian packages; asks sudo where it is not root).
deps:
	$(Q)sh tools/deps.sh check

clean:
	rm -rf $(BUILD)/obj $(BUILD)/so $(BUILD)/san $(BUILD)/tsan $(BUILD)/fuzz $(BUILD)/gen $(BUILD)/unit $(BUILD)/bench \
		$(BUILD)/check $(BUILD)/chaos $(BUILD)/oracles/http $(BUILD)/oracles/body \
		$(BUILD)/libinferwire.so $(BUILD)/inferwire-agent $(BUILD)/inferwire

help:
	@echo 'make            the shim, the agent and the command, under $(BUILD)/'
	@echo 'make demo       a llama.cpp server with its six metrics, in two minutes (RECEIVER=prometheus: through'
	@echo '                a real Collector and Prometheus)'
	@echo 'make check      the tests; of them alone: make unit T=http/h1, tsan, lint'
	@echo 'make check-servers, check-fuzz   what takes longer: servers that are built first; each fuzzer for a minute'
	@echo 'make fuzz       T=http/h1 SECONDS=60'
	@echo 'make chaos      servers and agents killed under load, words overwritten; CHAOS_SECONDS=600'
	@echo 'make oracles    SECONDS=60: our parsers beside well-known ones'
	@echo 'make bench      the figures'
	@echo 'make install    PREFIX=$(PREFIX) DESTDIR=; uninstall'
	@echo 'make deps       the Debian packages that all of this needs'

-include tools/install.mk
include tests/tests.mk

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
