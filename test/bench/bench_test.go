package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

func TestFloors(t *testing.T) {
	f := newFloors()
	f.fallbackOne.settle = time.Second
	for _, c := range []struct {
		name  string
		floor floor
		where where
		want  time.Duration
	}{
		{"no delay", f.signIndex, bearer(0, 0), 0},
		{"one image", f.signOne, bearer(50, 100), 6*50 + 100},
		{"an index", f.signIndex, bearer(50, 100), 7*50 + 100},
		{"an index, a slow key service", f.signIndex, bearer(50, 1000), 1000 + 1000 + 3*50},
		{"no single POST", f.twoPartIndex, bearer(50, 100), 8*50 + 100},
		{"fallback tag", f.fallbackOne, bearer(50, 0), 5*50 + 1000},
		{"again", f.again, bearer(50, 100), 5 * 50},
		{"verify", f.verifyOne, bearer(50, 0), 4 * 50},
		{"verify one of many", f.verifyOneOfMany, bearer(50, 0), 5 * 50},
	} {
		if got := c.floor.time(c.where); got != c.want*time.Millisecond {
			t.Errorf("%s: the floor is %v, want %d ms", c.name, got, c.want)
		}
	}
}

func TestSummary(t *testing.T) {
	var samples []sample
	for i, n := range []int{7, 9, 5} {
		s := sample{tally: tally{requests: n, calls: map[string]int{"Sign": i}}, usage: usage{Wall: time.Duration(n) * time.Second}}
		samples = append(samples, s.times(10))
	}
	ours := summarize(samples)
	if ours.requests != (span{50, 70, 90}) || ours.wall != 70*time.Second || ours.calls.most != 20 || ours.operations != "20 Sign" {
		t.Errorf("got %+v", ours)
	}
	theirs := summary{wall: 140 * time.Second}
	for want, target := range map[string]target{
		"≤ 90 registry requests: ok (50–90)":   atMostRequests(90),
		"≤ 89 registry requests: over (50–90)": atMostRequests(89),
		"≤ 70.0 s: ok (70.0 s)":                atMostWall(70 * time.Second),
		"≥ 2× faster: ok (2.0×)":               timesFaster(2),
		"≥ 2.1× faster: over (2.0×)":           timesFaster(2.1),
	} {
		if got := target.line(ours, theirs); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestBlock(t *testing.T) {
	page := "top\n" + beginMark + "old\n" + endMark + "\nbottom\n"
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"first\n", "second\n"} {
		b, err := openBlock(path)
		if err != nil {
			t.Fatal(err)
		}
		b.text.WriteString(text)
		if err := b.write(); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if want := strings.Replace(page, "old\n", "```text\n"+text+"```\n", 1); err != nil || string(got) != want {
			t.Errorf("%v\n%s", err, got)
		}
	}
	if _, err := openBlock("main.go"); err == nil {
		t.Error("a page without marks was accepted")
	}
}

// A repository is new: it has no blob of another one, as the empty config that
// all bundles share would be.
func TestRepositoriesShareNoBlobs(t *testing.T) {
	s, err := newSite(t.TempDir(), where{mode: registrytest.Referrers})
	defer s.close()
	if err != nil {
		t.Fatal(err)
	}
	images, err := s.pushMany(2)
	if err != nil {
		t.Fatal(err)
	}
	first, err := name.NewDigest(images[0].ref())
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.manifest(first)
	if err != nil {
		t.Fatal(err)
	}
	for i, img := range images {
		repo, err := name.NewRepository(img.repo)
		if err != nil {
			t.Fatal(err)
		}
		layer, err := remote.Layer(repo.Digest(m.Config.Digest.String()))
		if err == nil {
			_, err = layer.Compressed()
		}
		if (err == nil) != (i == 0) {
			t.Errorf("a blob of the first repository, read from repository %d: %v", i+1, err)
		}
	}
}

// The site counts what it is asked, the token included, and what it holds.
func TestSite(t *testing.T) {
	s, err := newSite(t.TempDir(), where{mode: registrytest.Token, twoPart: true})
	defer s.close()
	if err != nil {
		t.Fatal(err)
	}
	img, err := s.pushIndex()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.tally(); err != nil {
		t.Fatal(err)
	}
	if err := s.holds(img.ref(), attached{}); err != nil {
		t.Error(err)
	}
	if err := s.holds(img.ref(), once(signgate)); err == nil {
		t.Error("an image without signatures passes for a signed one")
	}
	got, err := s.tally()
	if err != nil || got.requests == 0 || got.writes != 0 || got.total() != 0 {
		t.Errorf("counted %+v, %v", got, err)
	}
	if list := got.events[:2]; list[0].text != "GET /v2/" || list[1].text != "GET /token" {
		t.Errorf("the first requests are %+v", list)
	}
}
