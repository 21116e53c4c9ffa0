package storm

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// crowded returns n entries of bundles that do not exist, each padded to about
// size bytes.
func crowded(n, size int) []descriptor {
	out := make([]descriptor, n)
	for i := range out {
		out[i] = descriptor{MediaType: ociManifest, Digest: digestOf([]byte(strconv.Itoa(i))), Size: 1000 + i, ArtifactType: bundleType}
		if size > 0 {
			out[i].Annotations = map[string]string{"padding": strings.Repeat("x", size)}
		}
	}
	return out
}

// pages makes the referrers API answer page after page: f makes the page of a
// number, which is the last when there are no more than last.
func (x *target) pages(last int, f func(page int) []descriptor) {
	x.at("GET .*/referrers/", func(w http.ResponseWriter, r *http.Request) {
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		w.Header().Set("Content-Type", ociIndex)
		if page < last {
			w.Header().Set("Link", fmt.Sprintf(`<%s?page=%d>; rel="next"`, r.URL.Path, page+1))
		}
		_, _ = w.Write(index(f(page)))
	})
}

const endless = 1 << 30

// lists are long and endless lists of referrers.
func lists() []hostile {
	other := []string{simplesigning}
	ref, old := registrytest.Referrers, registrytest.Fallback
	return []hostile{
		{name: "10000 referrers", mode: ref, reach: other, plant: func(_ *testing.T, x *target) {
			x.answers(".*/referrers/", ociIndex, index(crowded(10000, 0)))
		}},
		{name: "10000 referrers in 20 pages", mode: ref, reach: other, plant: func(_ *testing.T, x *target) {
			all := crowded(10000, 0)
			x.pages(19, func(page int) []descriptor { return all[page*500 : page*500+500] })
		}},
		{name: "10000 referrers at the fallback tag", mode: old, reach: other, plant: func(_ *testing.T, x *target) {
			x.answers(".*/manifests/"+x.fallbackTag()+"$", ociIndex, index(crowded(10000, 0)))
		}},
		{name: "64 referrers that are not there", mode: ref, reach: []string{simplesigning, bundle}, plant: func(_ *testing.T, x *target) {
			x.pages(0, func(int) []descriptor { return append(crowded(64, 0), x.listed()...) })
		}},
		{name: "20 full pages", mode: ref, reach: other, plant: func(_ *testing.T, x *target) {
			page := crowded(4000, 700)
			x.pages(19, func(int) []descriptor { return page })
		}},
		{name: "pages without end", mode: ref, reach: other, plant: func(_ *testing.T, x *target) {
			x.pages(endless, func(page int) []descriptor { return crowded(1, 0) })
		}},
		{name: "empty pages without end", mode: ref, reach: other, plant: func(_ *testing.T, x *target) {
			x.pages(endless, func(int) []descriptor { return []descriptor{} })
		}},
		{name: "full pages without end", mode: ref, reach: other, plant: func(_ *testing.T, x *target) {
			page := crowded(4000, 700)
			x.pages(endless, func(int) []descriptor { return page })
		}},
		{name: "a page that is its own next", mode: ref, reach: other, plant: func(_ *testing.T, x *target) {
			x.answers(".*/referrers/", ociIndex, index(crowded(1, 0)), "Link", `</v2/`+x.repo+`/referrers/`+x.digest+`>; rel="next"`)
		}},
		{name: "an entry of many annotations", mode: ref, reach: other, plant: func(_ *testing.T, x *target) {
			entry := crowded(1, 0)
			entry[0].Annotations = map[string]string{}
			for i := range 250_000 {
				entry[0].Annotations[strconv.Itoa(i)] = ""
			}
			x.answers(".*/referrers/", ociIndex, index(entry))
		}},
		{name: "1000 layers by nobody", mode: ref, reach: []string{bundle}, plant: func(t *testing.T, x *target) {
			x.put(t, x.signatureTag(), ociManifest, x.manifestOf(t, crowded(1000, 100)))
		}},
	}
}

// TestLists: a list that is too long is unknown, and hides nothing of another
// store.
func TestLists(t *testing.T) { playAll(t, lists()) }
