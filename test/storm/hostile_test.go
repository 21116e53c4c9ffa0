package storm

import (
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// hostile is something that a registry holds or answers.
type hostile struct {
	name   string
	mode   registrytest.Mode
	broken string   // the format of the good signature that is put out of reach
	reach  []string // the formats whose good signatures stay in reach beside it
	byTag  bool     // verify the tag, not the digest
	plant  func(t *testing.T, x *target)
}

// scene is a hostile registry, with the formats of the good signatures that are
// in reach.
type scene struct {
	hostile
	good string // "" for none
	sign bool   // look at what sign does, else at verify
}

func (s scene) String() string {
	switch {
	case s.sign:
		return s.name + ", sign"
	case s.good == "":
		return s.name + ", alone"
	}
	return s.name + ", beside a good " + s.good
}

func scenes(list []hostile) (out []scene) {
	for _, h := range list {
		out = append(out, scene{h, "", false}, scene{h, "", true})
		for _, good := range h.reach {
			out = append(out, scene{h, good, false})
		}
	}
	return out
}

// set starts the registry of a scene. A good signature in the format that is
// broken is made after the other.
func (s scene) set(t *testing.T) *target {
	t.Helper()
	x := newTarget(t, s.mode)
	formats := s.broken
	if s.good != "" && s.good != s.broken {
		formats = strings.Trim(s.broken+","+s.good, ",")
	}
	if formats != "" {
		x.signed(t, formats)
	}
	x.RequireBlobs(false)
	s.plant(t, x)
	if s.good != "" && s.good == s.broken {
		x.sign(t, s.good, "--resign").exits(t, "sign beside it", 0)
	}
	return x
}

// play runs signgate in the scene.
func (s scene) play(t *testing.T) {
	x := s.set(t)
	args := x.verifyDigestArgs(both)
	if s.byTag {
		args = x.verifyArgs(both)
	}
	if s.sign {
		args = x.signArgs(both, "--resign")
	}
	e := measured(t, append(args, "--retries", "1")...)
	e.named(t, s.name)
	switch {
	case s.sign && e.code == 0:
		signgate(t, x.verifyDigestArgs(both)...).exits(t, s.name+": verify after sign has passed", 0)
	case s.sign:
	case s.good == "":
		e.exits(t, s.name, 1, 3)
	default:
		e.exits(t, s.name+" beside a good "+s.good, 0)
	}
}

func playAll(t *testing.T, list []hostile) {
	each(t, 4, scenes(list), func(t *testing.T, s scene) { s.play(t) })
}

// TestMalformed: documents that two readers could read in two ways.
func TestMalformed(t *testing.T) {
	other := map[string]string{bundle: simplesigning, simplesigning: bundle}
	var list []hostile
	for _, d := range documents() {
		for _, c := range changes(d) {
			reach := []string{other[d.format]}
			if strings.HasPrefix(d.name, "a bundle") {
				reach = append(reach, bundle)
			}
			list = append(list, hostile{
				name: d.name + ": " + c.name, mode: d.mode, broken: d.format, reach: reach,
				plant: func(t *testing.T, x *target) { d.rewrite(t, x, c.f) },
			})
		}
	}
	playAll(t, list)
}
