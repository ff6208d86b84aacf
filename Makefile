# Everything here works on a fresh Debian or Ubuntu with Go: servers and load generators are unpacked
# into the user's cache folder by the first run that needs them (internal/sandbox).

GO ?= go

# The race detector needs a C compiler; without one the tests run all the same.
RACE := $(if $(shell command -v $${CC:-gcc} 2>/dev/null),-race,)

.PHONY: build test check race demo bench chaos fuzz lint clean

build:
	$(GO) build -trimpath -o bin/ ./cmd/changeover ./cmd/platform ./cmd/hourofcode

# Packages whose tests need no server; with the race detector they take seconds.
UNIT := ./cdc/schedule ./internal/config ./internal/control ./internal/fault ./platform/assets ./platform/curriculum ./platform/students/ledger

# What lint does is not done again, and nobody debugs these programs: that is a minute less of two cores.
QUICK := -vet=off -ldflags=-w

test:
	@$(if $(RACE),,echo "no C compiler: testing without -race")
	$(GO) test $(QUICK) $(RACE) $(UNIT)
	$(GO) test $(QUICK) -timeout 25m $$($(GO) list ./... | grep -vxF "$$($(GO) list $(UNIT))")

# The tool about the platform's own schema: each migration is read, and run up, down and up again on both servers.
check: build
	bin/changeover check migrations/sql --run --target mysql-9.7 --exemptions migrations/exemptions.yaml $(ARGS)

# Everything with the race detector, the real servers too: for a machine with nothing else to do.
race:
	$(GO) test -race -timeout 60m -p 1 ./...

# For example: make demo ARGS="--source mariadb --keep"
demo: build
	bin/changeover demo $(ARGS)

# For example: make bench ARGS="-run copy -quick"
bench: build
	$(GO) build -o bin/bench ./internal/bench
	bin/bench $(ARGS)

# Random migrations, for as long as FOR says; SEED plays one again. A seed that fails leaves its
# statements, the logs of its runs and what the binlog has, in .fuzz. For example:
# make fuzz FOR=2h    make fuzz SEED=3086 COUNT=20
FOR ?= 10m
COUNT ?= 1
fuzz:
	mkdir -p .fuzz
	CHANGEOVER_FUZZ=$(if $(SEED),,$(FOR)) CHANGEOVER_FUZZ_SEED=$(SEED) $(GO) test ./cdc -run TestAnyMigrationEndsEqual -count $(COUNT) -v -timeout 0 -artifacts -outputdir $(CURDIR)/.fuzz

# `changeover run`, built with a hook for it, is killed before, in and after every statement of a rehearsal, a
# cutover and a rollback. CHANGEOVER_CHAOS_SEED plays a choice of `make test` again.
chaos:
	CHANGEOVER_CHAOS=all CHANGEOVER_CHAOS_REPORT=$(CURDIR)/docs/bench/CHAOS.md $(GO) test ./cutover -run TestACoordinatorMayDieAtAnyStatement -count 1 -timeout 3h

lint:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags chaos ./cmd/changeover
	$(GO) tool staticcheck ./...

clean:
	-bin/changeover sandbox down
	rm -rf bin
