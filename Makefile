# make demo   signed and attested images, and four refusals, on this machine
# make test   all tests: race detector, scripts, interop with cosign and
#             containers/image, predicates of real tools, PKCS#11 modules, the
#             container, workflows under act
# make unit   the part of it that needs no peers and no Docker
# make soak   the tests that depend on chance, twenty times each
# make fuzz   every fuzz target for FUZZTIME, ten seconds each: about ten minutes on two cores
# make bench  signgate beside cosign on the same work, beside other ways to sign
#             with an HSM, and beside sha256sum; docs/benchmarks.md explains each
# make screenshots  what the job summary looks like, into docs/images

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 10s
LDFLAGS := -s -w -X main.version=$(VERSION)
INTEROP_TAGS := containers_image_openpgp exclude_graphdriver_btrfs

.PHONY: demo test unit storm soak fuzz predicates interop hsm e2e docs summary screenshots build lint bench clean

demo:
	@test/setup/need.sh cc
	go run ./cmd/signgate demo

test: lint unit docs summary storm predicates interop hsm e2e

unit:
	@test/setup/need.sh cc jq softhsm2 opensc p11-kit p11-kit-modules
	go test -race -timeout 15m ./cmd/... ./internal/... ./test/arch ./test/attacks ./test/bench ./test/keys ./test/recipes
	cd test/hsmbench && go test -count=1 ./...

storm:
	go test -count=1 -timeout 15m ./test/storm

soak:
	SIGNGATE_SOAK=20 go test -count=1 -timeout 2h -v -run 'Lost' ./test/storm

fuzz:
	test/setup/fuzz.sh $(FUZZTIME)

docs:
	@test/setup/need.sh jq openssl
	ACTIONLINT=$$(test/setup/peers.sh actionlint)/actionlint go test -count=1 ./test/docs/...

predicates:
	@test/setup/need.sh clamav
	@test/setup/peers.sh syft
	go test -count=1 -timeout 15m ./test/predicates

summary:
	test/summary/run.sh test

screenshots:
	test/summary/run.sh screenshots

interop:
	@test/setup/need.sh cc softhsm2 opensc
	@test/setup/peers.sh cosign-v2 cosign-v3 registry crane
	cd test/interop && go test -count=1 -timeout 15m -tags "$(INTEROP_TAGS)" ./...
	go test -count=1 ./test/contents

hsm:
	test/setup/hsm.sh

e2e:
	test/setup/e2e.sh

build:
	@mkdir -p dist
	go build -trimpath -ldflags "$(LDFLAGS)" -o dist/signgate ./cmd/signgate
	go build -trimpath -ldflags "$(LDFLAGS)" -o dist/signgate-action ./cmd/action

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run: gofmt -w ."; exit 1; }
	go vet ./...
	go vet -tags e2e ./test/e2e
	go vet -tags live ./internal/kmsigner/...
	cd test/interop && go vet -tags "$(INTEROP_TAGS)" ./...
	cd test/hsmbench && go vet ./...
	go tool staticcheck ./...
	go tool staticcheck -tags e2e ./test/e2e
	go tool staticcheck -tags live ./internal/kmsigner/...
	go mod tidy -diff

bench:
	go test -run '^$$' -bench . -benchmem ./internal/...
	@test/setup/peers.sh cosign-v3
	go run ./test/bench -beside
	@test/setup/need.sh cc softhsm2 opensc p11-kit p11-kit-modules
	cd test/hsmbench && go run .
	go run ./test/sizes
	go run ./test/contents

clean:
	rm -rf dist
