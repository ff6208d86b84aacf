# Everything here works on a fresh Debian or Ubuntu with Go: servers and load generators are unpacked
# into the user's cache folder by the first run that needs them (internal/sandbox).

GO ?= go

# The race detector needs a C compiler; without one the tests run all the same.
RACE := $(if $(shell command -v $${CC:-gcc} 2>/dev/null),-race,)

.PHONY: build test demo bench lint clean

build:
	$(GO) build -trimpath -o bin/changeover ./cmd/changeover

test:
	@$(if $(RACE),,echo "no C compiler: testing without -race")
	$(GO) test $(RACE) -timeout 25m ./...

# For example: make demo ARGS="--source mariadb --keep"
demo: build
	bin/changeover demo $(ARGS)

# For example: make bench ARGS="-run copy -quick"
bench: build
	$(GO) build -o bin/bench ./internal/bench
	bin/bench $(ARGS)

lint:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

clean:
	-bin/changeover sandbox down
	rm -rf bin
