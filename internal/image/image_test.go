package image_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

const (
	d1 = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	d2 = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"alpine":                               "docker.io/library/alpine",
		"index.docker.io/library/alpine":       "docker.io/library/alpine",
		"docker.io/acme/app:1.0":               "docker.io/acme/app:1.0",
		"ghcr.io/Acme/App:V1":                  "ghcr.io/acme/app:V1",
		"localhost:5000/app":                   "localhost:5000/app",
		"localhost:5000/app:1.0@" + d1:         "localhost:5000/app:1.0@" + d1,
		"[::1]:5000/app:1.0":                   "[::1]:5000/app:1.0",
		" ghcr.io/acme/app@" + d1 + " ":        "ghcr.io/acme/app@" + d1,
		"registry.example/a/b/c-d_e.f:x.y-z_1": "registry.example/a/b/c-d_e.f:x.y-z_1",
	} {
		if got, err := image.Parse(in); err != nil || got.String() != want {
			t.Errorf("Parse(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for in, code := range map[string]string{
		"":                           "reference_invalid",
		":1.0":                       "reference_invalid",
		"app:":                       "reference_invalid",
		"app:a b":                    "reference_invalid",
		"https://ghcr.io/a/b":        "reference_invalid",
		"ghcr.io/a//b":               "reference_invalid",
		"app@sha256:12":              "digest_invalid",
		"app@":                       "digest_invalid",
		"app@" + d1 + "@" + d2:       "digest_invalid",
		"app@sha512:" + d1[7:]:       "digest_invalid",
		"app@" + strings.ToUpper(d1): "digest_invalid",
	} {
		got, err := image.Parse(in)
		if fault.CodeOf(err) != code || fault.OutcomeOf(err) != fault.Config {
			t.Errorf("Parse(%q) = %v, %v; want %s", in, got, err, code)
		}
	}
}

func TestCollect(t *testing.T) {
	build := `{"image.name":"ghcr.io/a/b:1,ghcr.io/a/b:latest","containerimage.digest":"` + d1 + `","buildx.build.ref":"x"}`
	bake := `{"web":` + build + `,"cache":{"buildx.build.ref":"y"},"buildx.build.warnings":[{}]}`
	for name, tc := range map[string]struct {
		in   image.Inputs
		want string
	}{
		"tags and digest":      {image.Inputs{Images: []string{"ghcr.io/a/b:1", "ghcr.io/a/b:2", "ghcr.io/a/b:1"}, Digest: d1}, "ghcr.io/a/b[1 2]@" + d1},
		"several repositories": {image.Inputs{Images: []string{"ghcr.io/a/b:1", "x.io/a/b:1"}, Digest: d1}, "ghcr.io/a/b[1]@" + d1 + " x.io/a/b[1]@" + d1},
		"own digests":          {image.Inputs{Images: []string{"a/b@" + d1, "a/b@" + d2}}, "docker.io/a/b[]@" + d1 + " docker.io/a/b[]@" + d2},
		"build metadata":       {image.Inputs{Metadata: []byte(build)}, "ghcr.io/a/b[1 latest]@" + d1},
		"bake metadata":        {image.Inputs{Metadata: []byte(bake)}, "ghcr.io/a/b[1 latest]@" + d1},
		"references":           {image.Inputs{References: []string{"a/b:1@" + d1}}, "docker.io/a/b[1]@" + d1},
		"a tag to verify":      {image.Inputs{Images: []string{"a/b:1", "a/b:2"}, AllowTags: true}, "docker.io/a/b[1]@ docker.io/a/b[2]@"},
	} {
		images, err := image.Collect(tc.in)
		var got []string
		for _, img := range images {
			got = append(got, img.Repository+"["+strings.Join(img.Tags, " ")+"]@"+img.Digest)
		}
		if err != nil || strings.Join(got, " ") != tc.want {
			t.Errorf("%s: %v, %v; want %s", name, got, err, tc.want)
		}
	}
}

func TestCollectRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		in   image.Inputs
		code string
	}{
		"nothing":                      {image.Inputs{}, "images_missing"},
		"a blank list":                 {image.Inputs{Images: []string{" ", ""}, Digest: d1}, "images_missing"},
		"blank is no fallback":         {image.Inputs{Images: []string{}, References: []string{"a/b@" + d1}}, "inputs_contradict"},
		"two sources":                  {image.Inputs{Images: []string{"a/b"}, Metadata: []byte("{}"), Digest: d1}, "inputs_contradict"},
		"digest and metadata":          {image.Inputs{Metadata: []byte("{}"), Digest: d1}, "inputs_contradict"},
		"contradicting digests":        {image.Inputs{Images: []string{"a/b@" + d2}, Digest: d1}, "inputs_contradict"},
		"a tag without a digest":       {image.Inputs{Images: []string{"a/b:1"}}, "digest_missing"},
		"no JSON":                      {image.Inputs{Metadata: []byte("{")}, "metadata_invalid"},
		"trailing data":                {image.Inputs{Metadata: []byte("{} {}")}, "metadata_invalid"},
		"no image in it":               {image.Inputs{Metadata: []byte("{}")}, "metadata_invalid"},
		"a target that was not pushed": {image.Inputs{Metadata: []byte(`{"web":{"image.name":"a/b:1"}}`)}, "metadata_invalid"},
		"duplicate members":            {image.Inputs{Metadata: []byte(`{"image.name":"a","image.name":"b","containerimage.digest":"` + d1 + `"}`)}, "metadata_invalid"},
		"a digest of another type":     {image.Inputs{Metadata: []byte(`{"image.name":"a","containerimage.digest":7}`)}, "metadata_invalid"},
		"a list without digests":       {image.Inputs{References: []string{"a/b:1"}}, "digest_missing"},
		"an empty list":                {image.Inputs{References: []string{}}, "images_missing"},
	} {
		images, err := image.Collect(tc.in)
		if fault.CodeOf(err) != tc.code || fault.OutcomeOf(err) != fault.Config || images != nil {
			t.Errorf("%s: %v, %v; want %s", name, images, err, tc.code)
		}
	}
}

func TestChildren(t *testing.T) {
	s := image.Subject{Repository: "r.io/a", Digest: d1, MediaType: image.OCIIndex, Tags: []string{"1"}}
	body := []byte(`{"mediaType":"` + image.OCIIndex + `","manifests":[
		{"mediaType":"` + image.OCIManifest + `","digest":"` + d1 + `","size":7,"platform":{"os":"linux","architecture":"arm","variant":"v7"}},
		{"mediaType":"` + image.OCIManifest + `","digest":"` + d1 + `","size":7,"platform":{"os":"linux","architecture":"arm","variant":"v6"}},
		{"mediaType":"` + image.OCIManifest + `","digest":"` + d2 + `","size":7,"annotations":{"vnd.docker.reference.type":"attestation-manifest"}}]}`)
	if err := image.CheckManifest(s, body); err != nil {
		t.Fatal(err)
	}
	children, skipped, err := image.Children(s, body)
	if err != nil || len(children) != 1 || len(skipped) != 1 {
		t.Fatalf("Children = %v, %v, %v; want one child and one skipped", children, skipped, err)
	}
	c := children[0]
	if c.Platform != "linux/arm/v7" || c.Index != d1 || !slices.Equal(c.Tags, s.Tags) || skipped[0].Digest != d2 {
		t.Errorf("child %+v, skipped %+v", c, skipped[0])
	}
}

// TestCheckManifest: no manifest may pass for a thing that it is not.
func TestCheckManifest(t *testing.T) {
	index, manifest := `{"manifests":[]}`, `{"config":{},"layers":[]}`
	for name, tc := range map[string]struct {
		mediaType, body string
		ok              bool
	}{
		"manifest":              {image.OCIManifest, manifest, true},
		"index":                 {image.OCIIndex, index, true},
		"docker manifest":       {image.DockerManifest, manifest, true},
		"docker list":           {image.DockerList, index, true},
		"manifest called index": {image.OCIIndex, manifest, false},
		"index called manifest": {image.OCIManifest, index, false},
		"both in one":           {image.OCIIndex, `{"manifests":[],"config":{},"layers":[]}`, false},
		"contradicting types":   {image.OCIManifest, `{"mediaType":"` + image.OCIIndex + `","config":{},"layers":[]}`, false},
		"another media type":    {"application/json", manifest, false},
		"no JSON":               {image.OCIManifest, "hello", false},
		"no object":             {image.OCIManifest, "[]", false},
		"duplicate members":     {image.OCIManifest, `{"config":{},"layers":[],"layers":[]}`, false},
		"trailing data":         {image.OCIManifest, manifest + "{}", false},
		"members in other case": {image.OCIManifest, `{"Config":{},"Layers":[]}`, false},
	} {
		err := image.CheckManifest(image.Subject{MediaType: tc.mediaType}, []byte(tc.body))
		if (err == nil) != tc.ok || !tc.ok && fault.CodeOf(err) != "not_a_manifest" {
			t.Errorf("%s: %v, want ok %v", name, err, tc.ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a/b:1@" + d1, "localhost:5000/x", "a:b:c", "@", ":", "A/B"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		img, err := image.Parse(s)
		if err != nil {
			return
		}
		again, err := image.Parse(img.String())
		if err != nil || again.String() != img.String() {
			t.Errorf("Parse(%q) = %q, which parses to %q, %v", s, img, again, err)
		}
	})
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`{"web":{"image.name":"a","containerimage.digest":"` + d1 + `"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		images, err := image.Collect(image.Inputs{Metadata: data})
		for _, img := range images {
			if err != nil || image.CheckDigest(img.Digest) != nil {
				t.Errorf("%v without a digest, or with the error %v", img, err)
			}
		}
	})
}

func FuzzChildren(f *testing.F) {
	f.Add([]byte(`{"manifests":[{"mediaType":"` + image.OCIManifest + `","digest":"` + d1 + `","size":7}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s := image.Subject{MediaType: image.OCIIndex}
		if image.CheckManifest(s, body) != nil {
			return
		}
		children, _, err := image.Children(s, body)
		for _, c := range children {
			if err != nil || image.CheckDigest(c.Digest) != nil || !image.IsManifest(c.MediaType) {
				t.Errorf("child %+v with the error %v", c, err)
			}
		}
	})
}

// An annotation does not hide a platform that somebody runs.
func TestChildrenThatHide(t *testing.T) {
	s := image.Subject{Repository: "ghcr.io/acme/app", MediaType: image.OCIIndex}
	child := func(c, platform string) string {
		return `{"mediaType":"` + image.OCIManifest + `","digest":"sha256:` + strings.Repeat(c, 64) + `","size":7,"platform":` + platform +
			`,"annotations":{"vnd.docker.reference.type":"attestation-manifest"}}`
	}
	body := `{"schemaVersion":2,"mediaType":"` + image.OCIIndex + `","manifests":[` + child("1", `{"os":"linux","architecture":"arm64"}`) + "," +
		child("2", `{"os":"unknown","architecture":"unknown"}`) + `]}`
	children, skipped, err := image.Children(s, []byte(body))
	if err != nil || len(children) != 1 || children[0].Platform != "linux/arm64" || len(skipped) != 1 {
		t.Errorf("%+v, left out %+v, %v", children, skipped, err)
	}
}
