package storm

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// The sizes that a reader may meet: the documented limit, a multiple of it, and
// what no reader may take in.
const (
	limit = 4 << 20
	large = 16 << 20
	big   = 256 << 20
)

// squeezed is a GiB of spaces in a few hundred kilobytes: members of a gzip
// stream may follow each other.
var squeezed = sync.OnceValue(func() []byte {
	var member bytes.Buffer
	w := gzip.NewWriter(&member)
	_, err := io.CopyN(w, filler{}, 1<<26)
	if err := w.Close(); err != nil {
		panic(err)
	}
	if err != nil {
		panic(err)
	}
	return bytes.Repeat(member.Bytes(), 16)
})

// empties is a JSON document of n bytes, most of them empty objects.
func empties(beginning, end string, n int) []byte {
	body := strings.Repeat("{},", (n-len(beginning)-len(end))/3)
	return []byte(beginning + strings.TrimSuffix(body, ",") + end)
}

// bombs are small or endless things that cost a careless reader its memory.
func bombs() []hostile {
	other := []string{simplesigning}
	all := []string{simplesigning, bundle}
	ref := registrytest.Referrers
	gzipped := []string{"Content-Encoding", "gzip"}
	return []hostile{
		{name: "a bundle of the type +gzip", mode: ref, reach: all, plant: func(t *testing.T, x *target) {
			x.referBytes(t, bundleType+"+gzip", squeezed())
		}},
		{name: "a bundle sent with Content-Encoding", mode: ref, reach: all, plant: func(t *testing.T, x *target) {
			x.referBytes(t, bundleType, squeezed())
			x.answers(".*/blobs/"+digestOf(squeezed()), "application/octet-stream", squeezed(), gzipped...)
		}},
		{name: "a list sent with Content-Encoding", mode: ref, broken: bundle, reach: other, plant: func(_ *testing.T, x *target) {
			x.answers(".*/referrers/", ociIndex, squeezed(), gzipped...)
		}},
		{name: "an image sent with Content-Encoding", mode: ref, broken: both, plant: func(_ *testing.T, x *target) {
			x.answers(".*/manifests/"+x.digest, ociManifest, squeezed(), gzipped...)
		}},
		{name: "an image of 256 MiB", mode: ref, broken: both, plant: func(_ *testing.T, x *target) {
			x.stream(".*/manifests/"+x.digest, ociManifest, 200, "{}", big)
		}},
		{name: "a list of 256 MiB", mode: ref, broken: bundle, reach: other, plant: func(_ *testing.T, x *target) {
			x.stream(".*/referrers/", ociIndex, 200, "{}", big)
		}},
		{name: "a bundle of 256 MiB", mode: ref, broken: bundle, reach: other, plant: func(t *testing.T, x *target) {
			x.stream(".*/blobs/"+x.onlyBlob(t), "application/octet-stream", 200, "{}", big)
		}},
		{name: "an error of 256 MiB", mode: ref, broken: bundle, reach: other, plant: func(_ *testing.T, x *target) {
			x.stream(".*/referrers/", "application/json", 403, "{}", big)
		}},
		{name: "an API root of 256 MiB", mode: ref, broken: both, plant: func(_ *testing.T, x *target) {
			x.stream("/v2/$", "application/json", 403, "{}", big)
		}},
		{name: "a token of 256 MiB", mode: registrytest.Token, broken: both, plant: func(_ *testing.T, x *target) {
			x.stream("/token", "application/json", 200, `{"token":"`, big)
		}},
		{name: "an index of a million empty entries", mode: ref, broken: bundle, reach: other, plant: func(_ *testing.T, x *target) {
			x.answers(".*/referrers/", ociIndex, empties(`{"schemaVersion":2,"mediaType":"`+ociIndex+`","manifests":[`, "]}", limit))
		}},
		{name: "a signature manifest of a million empty layers", mode: ref, broken: simplesigning, reach: []string{bundle}, plant: func(t *testing.T, x *target) {
			x.put(t, x.signatureTag(), ociManifest, empties(`{"schemaVersion":2,"config":{"digest":"`+x.digest+`","size":1},"layers":[`, "]}", limit))
		}},
		{name: "a bundle's manifest of a million empty layers", mode: ref, reach: all, plant: func(t *testing.T, x *target) {
			body := empties(`{"schemaVersion":2,"config":{},"subject":{"digest":"`+x.digest+`","size":1},"layers":[`, "]}", limit)
			x.put(t, digestOf(body), ociManifest, body)
		}},
		{name: "a bundle of a million empty log entries", mode: ref, reach: all, plant: logEntries(limit)},
		{name: "a bundle of five million empty log entries", mode: ref, reach: all, plant: logEntries(large)},
		{name: "a bundle of 4 MiB of brackets", mode: ref, reach: all, plant: brackets(limit)},
		{name: "a bundle of 16 MiB of brackets", mode: ref, reach: all, plant: brackets(large)},
		{name: "64 bundles of 4 MiB", mode: ref, reach: other, plant: plantLarge(limit - 1<<10)},
		{name: "64 bundles of 15 MiB", mode: ref, reach: other, plant: plantLarge(15 << 20)},
	}
}

// TestBombs: no answer of a registry makes a run use more memory than it may.
func TestBombs(t *testing.T) { playAll(t, bombs()) }

// logEntries attaches a bundle of n bytes, most of them empty log entries.
func logEntries(n int) func(*testing.T, *target) {
	return func(t *testing.T, x *target) {
		x.referBytes(t, bundleType, empties(`{"mediaType":"`+bundleType+`","verificationMaterial":{"tlogEntries":[`, "]}}", n))
	}
}

// brackets attaches a bundle of n bytes that closes nothing of what it opens.
func brackets(n int) func(*testing.T, *target) {
	return func(t *testing.T, x *target) { x.referBytes(t, bundleType, bytes.Repeat([]byte("["), n)) }
}
