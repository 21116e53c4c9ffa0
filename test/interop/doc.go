// Package interop runs signgate beside the programs that read and write the
// same signatures: cosign 2 and 3, and containers/image, the library of podman,
// CRI-O and skopeo. They are the real ones, talking to real registries: one
// with the referrers API, one without, one with bearer tokens.
//
//	test/setup/need.sh softhsm2 opensc && test/setup/peers.sh cosign-v2 cosign-v3 registry
//	cd test/interop && go test -tags "containers_image_openpgp exclude_graphdriver_btrfs" ./...
//
// The first line installs and builds what the second needs; a program that is
// missing is a failure. SIGNGATE_BIN names a signgate to use in place of the one
// of this tree.
//
// It is a module of its own for the dependencies of containers/image, and
// imports nothing of signgate: what is tested is the program.
package interop
