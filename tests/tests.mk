# The tests' part of the Makefile.
#   tests/unit/STAGE/NAME_test.c      a cmocka program, linked with that stage and the ones before it
#   tests/tsan/STAGE/NAME_test.c      the same under the thread sanitizer
#   tests/fuzz/STAGE/NAME_fuzz.c      a libFuzzer program
#   tests/oracles/STAGE/NAME_oracle.c our parser beside another
#   tests/bench/STAGE/NAME_bench.c    a benchmark, optimised, no sanitizer
# STAGE shim links the shim's own objects; an ASan-built shim cannot be preloaded. tools is the command's.

# Stages that a test of a stage may use, in link order.
USES_shim    := shim
USES_base    := base
USES_intake  := intake base shim
USES_http    := http base
USES_body    := body base
USES_call    := call body http base
USES_metrics := metrics call body http base
USES_export  := export metrics call body http intake base
USES_tools   := tools export metrics call body http intake base
USES_agent   := export metrics call body http intake base shim

san_CC     = $(CC)
san_CFLAGS = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
$(eval $(call build_stages,san))

tsan_CC     = $(CC)
tsan_CFLAGS = -O1 -g -fno-omit-frame-pointer -fsanitize=thread
$(eval $(call build_stages,tsan))

fuzz_CC     = clang
fuzz_CFLAGS = -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
$(eval $(call build_stages,fuzz))

# test_program(kind,flavour,suffix,link flags)
define test_programs
$(foreach s,shim $(STAGES) agent tools,$(foreach t,$(wildcard tests/$(1)/$(s)/*_$(3).c),
$(BUILD)/$(1)/$(s)/$(notdir $(t:.c=)): $(t) $(call libs_of,$(2),$(USES_$(s)))
	@mkdir -p $$(@D)
	$$(SAY) LINK $$@
	$$(Q)$$($(2)_CC) $(OURS) $(WARN) $$($(2)_CFLAGS) $(4) $$(DEP_CFLAGS) -I$(GEN) -o $$@ $$< $(call libs_of,$(2),$(USES_$(s))) $$(DEP_LIBS) $(5)
))
endef

$(eval $(call test_programs,unit,san,test,,-lcmocka -lbrotlienc))
$(eval $(call test_programs,tsan,tsan,test,,-lcmocka))
$(eval $(call test_programs,fuzz,fuzz,fuzz,-fsanitize=fuzzer,))
$(eval $(call test_programs,bench,obj,bench,,-lcmocka))

programs = $(patsubst tests/$(1)/%.c,$(BUILD)/$(1)/%,$(wildcard tests/$(1)/*/*_$(2).c))
UNIT  := $(call programs,unit,test)
TSAN  := $(call programs,tsan,test)
FUZZ  := $(call programs,fuzz,fuzz)
BENCH := $(call programs,bench,bench)

.PHONY: unit tsan
# make unit [T=http/h1]: build and run the unit tests (of one module)
unit: $(if $(T),$(filter %/$(T)_test,$(UNIT)),$(UNIT))
	$(Q)set -e; for t in $^; do ./$$t; done
tsan: $(TSAN)
	$(Q)set -e; for t in $^; do ./$$t; done

# make fuzz T=http/h1 SECONDS=60
SECONDS ?= 60
.PHONY: fuzz
fuzz: $(if $(T),$(filter %/$(T)_fuzz,$(FUZZ)),$(FUZZ))
	$(Q)set -e; for t in $^; do n=$${t#$(BUILD)/fuzz/}; n=$${n%_fuzz}; mkdir -p $(BUILD)/corpus/$$n; \
	  seeds=tests/fuzz/corpus/$$n; [ -d $$seeds ] || seeds=; \
	  ./$$t -max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
	    -artifact_prefix=$(BUILD)/corpus/ $(BUILD)/corpus/$$n $$seeds; done

# ---- chaos: its programs; they and the sanitized agent are built before -----------------------------
# The writers are forked ten thousand times, which a sanitizer makes slow.
$(BUILD)/chaos/killed_writers: tests/chaos/killed_writers.c $(call libs_of,obj,intake base shim)
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(CC) $(OURS) $(WARN) $(CFLAGS) -o $@ $^ -lpthread
$(BUILD)/chaos/hostile_words: tests/chaos/hostile_words.c $(call libs_of,san,intake base shim)
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(san_CC) $(OURS) $(WARN) $(san_CFLAGS) -o $@ $^ -lpthread
$(BUILD)/chaos/tiny_server: tests/chaos/tiny_server.c
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(CC) $(OURS) $(WARN) $(CFLAGS) -o $@ $^ -lpthread
$(BUILD)/chaos/inferwire-agent: $(patsubst %.c,$(BUILD)/san/%.o,$(wildcard agent/*.c)) $(call libs_of,san,export metrics call body http intake base)
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(san_CC) $(san_CFLAGS) $(LDFLAGS) $^ $(DEP_LIBS) -o $@
CHAOS := $(foreach p,killed_writers hostile_words tiny_server inferwire-agent,$(BUILD)/chaos/$(p))

# make chaos CHAOS_SECONDS=60 CHAOS_SEED=1
CHAOS_SECONDS ?= 600
.PHONY: chaos
chaos: all $(CHAOS)
	$(Q)$(CHECK_ENV) sh tests/venv.sh
	$(Q)BUILD='$(BUILD)' $(BUILD)/venv/bin/python tests/chaos/chaos.py --seconds $(CHAOS_SECONDS) $(if $(CHAOS_SEED),--seed $(CHAOS_SEED))

# make oracles [SECONDS=60]: what our parsers read, beside well-known ones; that long each
ORACLES := $(patsubst tests/oracles/%.c,$(BUILD)/oracles/%,$(wildcard tests/oracles/*/*_oracle.c))
LLHTTP := $(BUILD)/oracles/llhttp
oracle_program = $(Q)$(CC) $(OURS) $(WARN) $(CFLAGS) $(DEP_CFLAGS) -isystem $(LLHTTP)/include \
	-o $@ $(filter %.c %.a,$^) $(DEP_LIBS)

$(BUILD)/oracles/llhttp.a: tests/oracles/llhttp.sh tests/oracles/requirements-llhttp.txt
	$(Q)$(CHECK_ENV) sh tests/venv.sh
	$(Q)$(CHECK_ENV) sh $<
ORACLE_HEADERS := $(wildcard tests/oracles/*.h tests/oracles/*/*.h)
$(BUILD)/oracles/http/%: tests/oracles/http/%.c $(ORACLE_HEADERS) $(call libs_of,obj,http base) $(BUILD)/oracles/llhttp.a
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(oracle_program)
$(BUILD)/oracles/body/%: tests/oracles/body/%.c $(ORACLE_HEADERS) $(call libs_of,obj,body base)
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(oracle_program)

# Node takes most of their time: a sanitizer costs nothing.
BESIDE_NODE := $(foreach p,sse json_parse,$(BUILD)/oracles/body/$(p)_oracle)
$(BUILD)/oracles/node/made-of: tests/oracles/node.sh $(wildcard tests/oracles/node/*.json)
	$(Q)$(CHECK_ENV) sh $<
$(BESIDE_NODE): $(BUILD)/oracles/%: tests/oracles/%.c $(call libs_of,san,body base) $(BUILD)/oracles/node/made-of
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(san_CC) $(OURS) $(WARN) $(san_CFLAGS) $(DEP_CFLAGS) -DORACLES_AT='"$(abspath tests/oracles)"' \
	  -DNODE_PACKAGES='"$(abspath $(BUILD)/oracles/node)"' -o $@ $(filter %.c %.a,$^) $(DEP_LIBS)

.PHONY: oracles
oracles: $(ORACLES)
	$(Q)$(CHECK_ENV) sh tests/venv.sh
	$(Q)$(CHECK_ENV) SECONDS_EACH=$(SECONDS) sh tests/check.sh $(BUILD) oracles

# ---- make check: every test, and the closing line -------------------------------------------------
CHECK_ENV = UNIT='$(UNIT)' TSAN='$(TSAN)' FUZZ='$(FUZZ)' ORACLES='$(ORACLES)' BUILD='$(BUILD)' PYTHON='$(PYTHON)'
CHECK_PARTS := lint unit oracles tsan shim tools e2e

.PHONY: check check-deps check-build check-servers check-fuzz lint demo bench bench-run
check-deps:
	$(Q)sh tools/deps.sh check
	$(Q)$(CHECK_ENV) sh tests/venv.sh
	$(Q)$(CHECK_ENV) sh tests/receivers/build.sh
	$(Q)$(CHECK_ENV) sh tests/shim/glibc-2.17/fetch.sh

# A make of its own: the packages that check-deps installs are there when it reads pkg-config.
check: check-deps
	$(Q)$(MAKE) --no-print-directory check-build
	$(Q)$(CHECK_ENV) sh tests/check.sh $(BUILD) $(CHECK_PARTS)
check-build: all $(UNIT) $(TSAN) $(ORACLES) $(BUILD)/check/recorded

# Reads the ring that a program of tests/shim left.
$(BUILD)/check/recorded: tests/shim/recorded.c $(call libs_of,obj,intake base)
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(CC) $(OURS) $(WARN) $(CFLAGS) -o $@ $^ $(DEP_LIBS)

# llama-server itself, built from source the first time: about a quarter of an hour. Servers of other
# languages, and proxies: two minutes. And llama-stack and LiteLLM: two.
check-servers: all $(CHAOS)
	$(Q)sh tools/deps.sh servers
	$(Q)$(CHECK_ENV) sh tests/venv.sh
	$(Q)$(CHECK_ENV) sh tests/servers/build_llama_server.sh
	$(Q)$(CHECK_ENV) sh tests/servers/build_runtimes.sh
	$(Q)$(CHECK_ENV) sh tests/servers/install_stacks.sh
	$(Q)$(CHECK_ENV) sh tests/check.sh $(BUILD) servers chaos

check-fuzz: $(FUZZ)
	$(Q)$(CHECK_ENV) sh tests/check.sh $(BUILD) fuzz

lint:
	$(Q)sh tests/lint.sh

# A real llama.cpp server under real load, and its six metrics beside the load generator's tally.
demo:
	$(Q)sh tools/deps.sh build
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(CHECK_ENV) sh tests/venv.sh tests/requirements-demo.txt
	$(Q)BUILD='$(BUILD)' $(BUILD)/venv/bin/python tests/demo/demo.py $(RECEIVER)

# Figures, bars and aims; the table is also in $(BUILD)/bench/figures.tsv.
bench:
	$(Q)sh tools/deps.sh bench
	$(Q)$(CHECK_ENV) sh tests/venv.sh
	$(Q)$(CHECK_ENV) sh tests/venv.sh tests/requirements-bench.txt
	$(Q)$(MAKE) --no-print-directory bench-run
# The yardstick of event_bench.
$(BUILD)/bench/metrics/libon_demand.so: tests/bench/metrics/on_demand.cc
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(CXX) -O2 -fPIC -shared $< -lsimdjson -o $@
bench-run: all $(BENCH) $(BUILD)/bench/metrics/libon_demand.so
	$(Q)rm -f $(BUILD)/bench/figures.tsv
	$(Q)$(BUILD)/venv/bin/python tests/bench/shim/cost.py $(BUILD)
	$(Q)$(BUILD)/venv/bin/python tests/bench/server/uvicorn_cpu.py $(BUILD)
	$(Q)$(BUILD)/venv/bin/python tests/bench/server/node_replies.py $(BUILD)
	$(Q)$(BUILD)/venv/bin/python tests/bench/server/first_token.py $(BUILD)
	$(Q)set -e; for b in $(BENCH); do ./$$b; done
	$(Q)$(BUILD)/venv/bin/python tests/bench/bars.py $(BUILD)
