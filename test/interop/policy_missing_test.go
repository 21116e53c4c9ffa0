//go:build !containers_image_openpgp

package interop

import "testing"

func TestContainersPolicy(t *testing.T) {
	t.Fatal(`containers/image is left out; run: go test -tags "containers_image_openpgp exclude_graphdriver_btrfs" ./...`)
}
