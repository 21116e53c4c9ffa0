package actions

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

// The runner's own bounds (CreateArtifactsFileCommand.cs) are 1 MiB for what a
// step declares and 500 artifacts for a job.
const (
	artifactsLimit    = 1 << 20
	artifactsMaxCount = 500
)

// KindOCI is the kind of an artifact that is in a registry.
const KindOCI = "oci"

// Artifact is something that an earlier step of the job declared in
// $GITHUB_ARTIFACTS.
type Artifact struct {
	Name   string `json:"name"`   // for KindOCI a reference without digest, perhaps with a tag
	Digest string `json:"digest"` // algorithm:hex, in lower case
	Kind   string `json:"kind"`   // KindOCI, "file", or what later runners add
}

// ArtifactsList returns the artifacts that earlier steps of the job declared,
// each once, in the runner's order. The runner (2.336 and later, where the
// feature is on) gives them as a JSON file named by $GITHUB_ARTIFACTS_LIST:
//
//	{"version":1,"subjects":[{"name":"ghcr.io/o/r:1","digest":"sha256:…","kind":"oci"}]}
//
// A list without artifacts is no error; no list at all is one with the code
// artifacts_list_missing, and one that cannot be read as above is
// artifacts_list_invalid: half a list could leave an image unsigned.
func (r *Runner) ArtifactsList() ([]Artifact, error) {
	path := strings.TrimSpace(r.getenv("GITHUB_ARTIFACTS_LIST"))
	if path == "" {
		return nil, artifactsMissing("GITHUB_ARTIFACTS_LIST is not set")
	}
	data, err := readBounded(path, artifactsLimit)
	if errors.Is(err, os.ErrNotExist) {
		return nil, artifactsMissing("GITHUB_ARTIFACTS_LIST names a file that does not exist")
	}
	if err != nil {
		return nil, artifactsInvalid(err)
	}
	if strings.TrimSpace(string(data)) == "" {
		return nil, artifactsMissing("the list of artifacts is empty because this runner has the feature off")
	}
	list, err := parseArtifacts(data)
	if err != nil {
		return nil, artifactsInvalid(err)
	}
	return list, nil
}

func parseArtifacts(data []byte) ([]Artifact, error) {
	var list struct {
		Version  *int       `json:"version"`
		Subjects []Artifact `json:"subjects"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	if list.Version != nil && *list.Version != 1 {
		return nil, fmt.Errorf("its version is %d and signgate knows only 1", *list.Version)
	}
	if len(list.Subjects) > artifactsMaxCount {
		return nil, fmt.Errorf("it has %d artifacts, more than the %d a job may declare", len(list.Subjects), artifactsMaxCount)
	}
	return distinct(list.Subjects)
}

// distinct normalises the entries, drops repetitions and refuses one name with
// two digests.
func distinct(entries []Artifact) ([]Artifact, error) {
	var out []Artifact
	digests := map[string]string{}
	for i, e := range entries {
		a, err := e.normal()
		if err != nil {
			return nil, fmt.Errorf("artifact %d: %w", i+1, err)
		}
		key := a.Kind + "\x00" + a.Name
		if have, ok := digests[key]; ok && have != a.Digest {
			return nil, fmt.Errorf("artifact %d: %q has two digests", i+1, a.Name)
		} else if !ok {
			digests[key] = a.Digest
			out = append(out, a)
		}
	}
	return out, nil
}

var digestForm = regexp.MustCompile(`^(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$`)

// normal accepts a name in the form of the write side too, oci://ref@digest.
func (a Artifact) normal() (Artifact, error) {
	name, digest := a.Name, strings.ToLower(a.Digest)
	if rest, ok := strings.CutPrefix(name, "oci://"); ok {
		name, a.Kind = rest, KindOCI
	}
	if ref, own, ok := strings.Cut(name, "@"); ok && a.Kind == KindOCI {
		own = strings.ToLower(own)
		if digest != "" && digest != own {
			return a, fmt.Errorf("%q contradicts its digest %q", a.Name, a.Digest)
		}
		name, digest = ref, own
	}
	if name == "" || a.Kind == "" || !digestForm.MatchString(digest) {
		return a, fmt.Errorf("name %q, kind %q, digest %q is not a complete artifact", a.Name, a.Kind, a.Digest)
	}
	return Artifact{Name: name, Digest: digest, Kind: a.Kind}, nil
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("it is larger than %d bytes", limit)
	}
	return data, err
}

func artifactsMissing(why string) error {
	return fault.Configf("artifacts_list_missing", "name the images with the input images", "no images were given and %s", why)
}

func artifactsInvalid(err error) error {
	return fault.Configf("artifacts_list_invalid", "name the images with the input images",
		"the runner's list of artifacts cannot be used: %w", err)
}
