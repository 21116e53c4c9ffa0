package gate_test

import (
	"testing"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
)

// TestNames: which signed reference is the image's own, under the names that a
// repository has, and behind a mirror.
func TestNames(t *testing.T) {
	k := newKey(t, "a")
	mirror := map[string]string{"r.io/mirror": "ghcr.io/vendor", "r.io/mirror/deep": "quay.io/deep"}
	for _, tc := range []struct {
		image, signed string
		remap         map[string]string
		want          fault.Outcome
	}{
		{"docker.io/library/alpine", "docker.io/library/alpine:3", nil, fault.Passed},
		{"docker.io/library/alpine", "index.docker.io/library/alpine:3", nil, fault.Passed},
		{"index.docker.io/library/alpine", "docker.io/library/alpine:3", nil, fault.Passed},
		{"docker.io/library/alpine", "alpine:3", nil, fault.Passed},
		{"docker.io/library/alpine", "Docker.IO/Library/Alpine:3", nil, fault.Passed},
		{"docker.io/library/alpine", "docker.io/evil/alpine:3", nil, fault.Refused},
		{"docker.io/library/alpine", "docker.io.evil/library/alpine:3", nil, fault.Refused},
		{"docker.io/library/alpine", "alpine:3@sha256:x", nil, fault.Passed}, // the payload has a digest of its own
		{"docker.io/library/alpine", "alpine:03", nil, fault.Refused},
		{"docker.io/library/alpine", "alpine", nil, fault.Refused}, // bound, and no tag
		{"docker.io/library/alpine", "", nil, fault.Refused},
		{"docker.io/library/alpine", "alpine :3", nil, fault.Refused},
		{"r.io/mirror/app", "ghcr.io/vendor/app:3", mirror, fault.Passed},
		{"r.io/mirror", "ghcr.io/vendor:3", mirror, fault.Passed},
		{"r.io/mirror/app", "r.io/mirror/app:3", mirror, fault.Refused},
		{"r.io/mirror-evil/app", "ghcr.io/vendor-evil/app:3", mirror, fault.Refused},
		{"r.io/mirror/deep/app", "quay.io/deep/app:3", mirror, fault.Passed},
		{"r.io/mirror/deep/app", "ghcr.io/vendor/deep/app:3", mirror, fault.Refused},
		{"r.io/mirror/deeper/app", "ghcr.io/vendor/deeper/app:3", mirror, fault.Passed},
		{"other.io/app", "other.io/app:3", mirror, fault.Passed},
	} {
		s := subject("3")
		s.Repository = tc.image
		rule := require(1, k)
		rule.Bind = policy.Bind{Repository: true, Remap: tc.remap, Tag: true}
		c := k.payload(t, []byte(`{"critical":{"identity":{"docker-reference":"`+tc.signed+`"},"image":{"docker-manifest-digest":"`+s.Digest+`"},"type":"cosign container image signature"},"optional":null}`))
		if v := check(t, s, rule, of(c)); v.Outcome() != tc.want {
			t.Errorf("%s signed as %q: %v, %+v", tc.image, tc.signed, v.Outcome(), v.Findings)
		}
		claims := envelope.Claims{Version: 1, Repository: "ghcr.io/acme/other", Tags: []string{"3"}}
		if v := check(t, s, rule, of(k.bundle(t, s, claims, nil))); v.Outcome() != fault.Refused {
			t.Errorf("%s, claimed for another: %v", tc.image, v.Outcome())
		}
	}
}
