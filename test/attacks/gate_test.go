package attacks

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/registry/registrytest"
)

// direct is the package gate with the package registry as its source, and as
// little between them as there can be.
type direct struct {
	*scene
	client   *registry.Client
	policy   *policy.Policy
	floors   map[string]int64
	outcomes []fault.Outcome
	findings []finding
	spared   bool
}

// runGate decides the images of a case by its policy.
func runGate(t *testing.T, s *scene) result {
	d := &direct{scene: s, floors: map[string]int64{}}
	if err := d.open(); err != nil {
		d.fail(err)
	} else {
		for _, line := range strings.Fields(s.inputs()["images"]) {
			if err := d.image(t, line); err != nil {
				d.fail(err)
			}
		}
	}
	exit := fault.Worst(d.outcomes...)
	return result{exit: int(exit), codes: codesOf(d.findings), verified: exit == fault.Passed && !d.spared}
}

func (d *direct) fail(err error) {
	d.outcomes = append(d.outcomes, fault.OutcomeOf(err))
	d.findings = append(d.findings, finding{fault.CodeOf(err), "failed"})
}

// open loads the policy and what was accepted before.
func (d *direct) open() (err error) {
	d.client = registry.New(registry.Options{Keychain: chain{d.Mode}})
	if state := d.inputs()["rollback-state"]; state != "" {
		text, err := os.ReadFile(filepath.Join(d.workspace(), state))
		if err := errors.Join(err, json.Unmarshal(text, &d.floors)); err != nil {
			return err
		}
	}
	d.policy, err = policy.Load(policy.Source{Name: "policy.yaml", Text: []byte(d.expand(d.Policy)), Now: time.Now(),
		Read: func(path string) ([]byte, error) { return os.ReadFile(filepath.Join(d.workspace(), path)) }})
	return err
}

// chain has the credentials of a registry that wants some.
type chain struct{ mode registrytest.Mode }

func (c chain) Resolve(authn.Resource) (authn.Authenticator, error) {
	if c.mode != registrytest.Token {
		return authn.Anonymous, nil
	}
	return &authn.Basic{Username: registrytest.User, Password: registrytest.Password}, nil
}

// image decides an image and, unless its rule is about the index alone, what is
// below it.
func (d *direct) image(t *testing.T, text string) error {
	img, err := image.Parse(text)
	if err != nil {
		return err
	}
	rule, err := d.policy.RuleFor(img.Repository)
	if err != nil {
		return err
	}
	reference := img.Digest
	if reference == "" {
		reference = img.Tags[0]
	}
	m, found, err := d.client.Manifest(t.Context(), img.Repository, reference)
	if err == nil && found == registry.Absent {
		err = fault.Refusedf("image_missing", "", "there is no %s", img)
	}
	s := image.Subject{Repository: img.Repository, Digest: m.Digest, MediaType: m.MediaType, Size: int64(len(m.Body)), Tags: img.Tags}
	if err == nil {
		err = image.CheckManifest(s, m.Body)
	}
	if err != nil {
		return err
	}
	if err := d.check(t, s); err != nil || rule.Index == policy.Self || !image.IsIndex(m.MediaType) {
		return err
	}
	children, _, err := image.Children(s, m.Body)
	for _, child := range children {
		err = errors.Join(err, d.below(t, child))
	}
	return err
}

// below decides what an index lists.
func (d *direct) below(t *testing.T, child image.Subject) error {
	if image.IsIndex(child.MediaType) {
		m, _, err := d.client.Manifest(t.Context(), child.Repository, child.Digest)
		if err != nil {
			return err
		}
		list, _, err := image.Children(child, m.Body)
		for _, c := range list {
			err = errors.Join(err, d.below(t, c))
		}
		if err != nil {
			return err
		}
	}
	return d.check(t, child)
}

func (d *direct) check(t *testing.T, s image.Subject) error {
	rule, err := d.policy.For(s, time.Now())
	if err != nil {
		return err
	}
	least, _ := strconv.ParseInt(d.inputs()["minimum-sequence"], 10, 64)
	floor := map[string]int64{}
	for _, tag := range s.Tags {
		if s.Index == "" {
			floor[tag] = max(least, d.floors[s.Repository+":"+tag])
		}
	}
	v, err := gate.Check(t.Context(), gate.Request{Subject: s, Rule: rule, Now: time.Now(), Floor: floor}, d.client.View(s))
	if err != nil {
		return err
	}
	for _, f := range v.Findings {
		d.findings = append(d.findings, finding{f.Code, f.Outcome.String()})
	}
	if rule.Mode == policy.Warn && v.Outcome() != fault.Passed {
		d.spared = true
	} else {
		d.outcomes = append(d.outcomes, v.Outcome())
	}
	return nil
}
