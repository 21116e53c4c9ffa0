package attacks

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// Media types.
const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	ociConfig   = "application/vnd.oci.image.config.v1+json"
)

// scene is the world of a case: a registry, and a workspace with the policy.
type scene struct {
	*registrytest.Server
	attack
	t         *testing.T
	dir       string
	manifests map[string][]byte       // of the images by their reference
	layers    map[string][]descriptor // at the signature tag of each image
	stranger  *stranger
}

type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int               `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Platform     map[string]string `json:"platform,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

// build makes the scene of a case.
func build(t *testing.T, a attack) *scene {
	t.Helper()
	mode := registrytest.Mode(or(a.Registry, string(registrytest.Referrers)))
	s := &scene{Server: registrytest.Start(t, mode), attack: a, t: t, dir: t.TempDir(), manifests: map[string][]byte{}, layers: map[string][]descriptor{}}
	s.stranger = newStranger(t)
	for i, p := range a.Images {
		s.push(i, p)
	}
	for _, att := range a.Attach {
		s.attach(att)
	}
	s.move(a.Tags)
	s.write()
	s.Intercept(s.misbehave())
	s.Requests()
	return s
}

// push makes an image of its number, so that no two are the same.
func (s *scene) push(i int, p picture) {
	repo, tag := split(p.Ref)
	config := s.blob(repo, []byte(`{"architecture":"amd64","os":"linux","n":`+strconv.Itoa(i)+`}`))
	config.MediaType = ociConfig
	annotations := map[string]string{}
	if p.Base != "" {
		annotations["org.opencontainers.image.base.name"], annotations["org.opencontainers.image.base.digest"] = s.Host+"/"+p.Base, s.digest(p.Base)
	}
	body, mediaType := s.json(map[string]any{"schemaVersion": 2, "mediaType": ociManifest, "config": config, "layers": []any{}, "annotations": annotations}), ociManifest
	if p.Children != nil {
		var list []descriptor
		for n, child := range p.Children {
			list = append(list, descriptor{MediaType: typeOf(s.manifests[child]), Digest: s.digest(child), Size: len(s.manifests[child]),
				Platform: map[string]string{"os": "linux", "architecture": []string{"amd64", "arm64", "s390x"}[n]}})
		}
		body, mediaType = s.json(map[string]any{"schemaVersion": 2, "mediaType": ociIndex, "manifests": list}), ociIndex
	}
	s.manifests[p.Ref] = body
	s.put(repo, tag, mediaType, body)
}

func typeOf(manifest []byte) string {
	if bytes.Contains(manifest, []byte(`"manifests":`)) {
		return ociIndex
	}
	return ociManifest
}

// attach puts an attachment where its format has it.
func (s *scene) attach(a attachment) {
	if a.To == "" {
		a.To = s.Images[0].Ref
	}
	if a.About == "" {
		a.About = a.To
	}
	for n := range max(a.Times, 1) {
		switch a.Format {
		case "simplesigning":
			s.attachLayer(a, n)
		case "dsse":
			s.attachDSSE(a, n)
		default:
			s.attachBundle(a, n)
		}
	}
}

func (s *scene) attachBundle(a attachment, n int) {
	repo, _ := split(a.To)
	statement := s.statement(a)
	message := encoded(statement)
	if a.Raw {
		message = statement
	}
	blob := s.blob(repo, append(s.bundle(a, statement, s.sign(a, message)), bytes.Repeat([]byte(" "), n)...))
	blob.MediaType = bundleType
	config := s.blob(repo, []byte("{}"))
	config.MediaType = "application/vnd.oci.empty.v1+json"
	kind := or(a.Listed, signatureType)
	if a.Listed == "" && a.Predicate != nil {
		kind = a.Predicate.Type
	}
	body := s.json(map[string]any{
		"schemaVersion": 2, "mediaType": ociManifest, "artifactType": bundleType, "config": config, "layers": []descriptor{blob},
		"subject":     descriptor{MediaType: typeOf(s.manifests[a.To]), Digest: s.digest(a.To), Size: len(s.manifests[a.To])},
		"annotations": map[string]string{"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": kind},
	})
	s.put(repo, digestOf(body), ociManifest, body)
	if s.Mode == registrytest.Fallback {
		s.layers["index "+a.To] = append(s.layers["index "+a.To], descriptor{MediaType: ociManifest, ArtifactType: bundleType, Digest: digestOf(body), Size: len(body)})
		s.put(repo, strings.Replace(s.digest(a.To), ":", "-", 1), ociIndex, s.json(map[string]any{"schemaVersion": 2, "mediaType": ociIndex, "manifests": s.layers["index "+a.To]}))
	}
}

func (s *scene) attachLayer(a attachment, n int) {
	repo, _ := split(a.To)
	payload := append(s.payload(a), bytes.Repeat([]byte(" "), n)...)
	layer := s.blob(repo, payload)
	layer.MediaType = simpleType
	layer.Annotations = map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(s.sign(a, payload))}
	if a.Hint != "" {
		layer.Annotations["dev.signgate.key"] = fingerprint(s.t, a.Hint)
	}
	s.addLayer(a.To, ".sig", layer)
}

// attachDSSE puts an attestation to cosign's tag for those.
func (s *scene) attachDSSE(a attachment, n int) {
	repo, _ := split(a.To)
	statement := s.statement(a)
	envelope := s.json(map[string]any{"payloadType": statementType, "payload": statement, "signatures": []any{map[string]any{"keyid": "", "sig": s.sign(a, encoded(statement))}}})
	layer := s.blob(repo, append(envelope, bytes.Repeat([]byte(" "), n)...))
	layer.MediaType = "application/vnd.dsse.envelope.v1+json"
	layer.Annotations = map[string]string{"predicateType": or(a.Listed, a.Predicate.Type), "dev.cosignproject.cosign/signature": ""}
	if a.Hint != "" {
		layer.Annotations["dev.signgate.key"] = fingerprint(s.t, a.Hint)
	}
	s.addLayer(a.To, ".att", layer)
}

// addLayer adds a layer to the manifest at one of cosign's tags.
func (s *scene) addLayer(to, suffix string, layer descriptor) {
	repo, _ := split(to)
	s.layers[to+suffix] = append(s.layers[to+suffix], layer)
	config := s.blob(repo, []byte("{}"))
	config.MediaType = ociConfig
	s.put(repo, strings.Replace(s.digest(to), ":", "-", 1)+suffix, ociManifest,
		s.json(map[string]any{"schemaVersion": 2, "mediaType": ociManifest, "config": config, "layers": s.layers[to+suffix]}))
}

// move points tags to images.
func (s *scene) move(tags map[string]string) {
	for tag, ref := range tags {
		repo, name := split(tag)
		s.put(repo, name, typeOf(s.manifests[ref]), s.manifests[ref])
	}
}

// write makes the workspace.
func (s *scene) write() {
	files := map[string]string{"policy.yaml": s.Policy}
	all := s.Policy
	for name, text := range s.Files {
		files[name], all = text, all+text
	}
	for _, text := range s.Inputs {
		all += text
	}
	for name, text := range files {
		path := filepath.Join(s.workspace(), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(s.expand(text)), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	writeKeys(s.t, s.workspace(), all)
}

func (s *scene) workspace() string { return filepath.Join(s.dir, "workspace") }

// serve puts a request to the registry itself, past what it does in place of its
// duty.
func (s *scene) serve(method, path, mediaType string, body []byte) *httptest.ResponseRecorder {
	s.t.Helper()
	rec := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", mediaType)
	if s.Mode == registrytest.Token {
		r.Header.Set("Authorization", "Bearer "+s.token(path))
	}
	s.Serve(rec, r)
	return rec
}

// token buys the right to write to the repository of a path.
func (s *scene) token(path string) string {
	repo, _, _ := strings.Cut(strings.TrimPrefix(path, "/v2/"), "/")
	rec := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/token?scope=repository:"+repo+":pull,push", nil)
	r.SetBasicAuth(registrytest.User, registrytest.Password)
	s.Serve(rec, r)
	var answer struct{ Token string }
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		s.t.Fatal(err)
	}
	return answer.Token
}

func (s *scene) put(repo, ref, mediaType string, body []byte) {
	s.t.Helper()
	if rec := s.serve(http.MethodPut, "/v2/"+repo+"/manifests/"+ref, mediaType, body); rec.Code >= 300 {
		s.t.Fatalf("PUT %s: %d %s", ref, rec.Code, rec.Body)
	}
}

func (s *scene) blob(repo string, body []byte) descriptor {
	s.t.Helper()
	d := descriptor{Digest: digestOf(body), Size: len(body)}
	if rec := s.serve(http.MethodPost, "/v2/"+repo+"/blobs/uploads/?digest="+d.Digest, "application/octet-stream", body); rec.Code != http.StatusCreated {
		s.t.Fatalf("POST a blob: %d %s", rec.Code, rec.Body)
	}
	return d
}

func digestOf(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

func split(ref string) (repo, tag string) {
	repo, tag, _ = strings.Cut(ref, ":")
	return repo, tag
}

func (s *scene) digest(ref string) string {
	s.t.Helper()
	body, ok := s.manifests[ref]
	if !ok {
		s.t.Fatalf("there is no image %q", ref)
	}
	return digestOf(body)
}

// expand replaces what stands in ${…}.
func (s *scene) expand(text string) string {
	return os.Expand(text, func(name string) string {
		kind, rest, _ := strings.Cut(name, " ")
		switch {
		case name == "REG":
			return s.Host
		case kind == "hex":
			return strings.TrimPrefix(s.digest(rest), "sha256:")
		case kind == "fingerprint":
			return fingerprint(s.t, rest)
		case kind == "pem":
			return strconv.Quote(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix(s.t, rest)})))
		case kind == "now", kind == "day":
			return s.at(kind, rest)
		}
		return s.digest(name)
	})
}

// at returns a time of now and a duration, for files: "now -1h", "day 24h".
func (s *scene) at(form, offset string) string {
	d, err := time.ParseDuration(or(offset, "0s"))
	if err != nil {
		s.t.Fatal(err)
	}
	layout := time.RFC3339
	if form == "day" {
		layout = time.DateOnly
	}
	return time.Now().Add(d).UTC().Format(layout)
}
