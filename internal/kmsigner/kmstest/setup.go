package kmstest

import (
	"crypto"
	"regexp"
	"strings"
)

// Alias makes the alias name ("alias/release") point to a key, or moves it, and
// returns the alias's ARN. It panics on a name that is no alias or a key that
// does not exist, as the other setup methods do.
func (s *Server) Alias(name, keyID string) (arn string) {
	if !strings.HasPrefix(name, "alias/") {
		panic("kmstest: an alias starts with alias/, not " + name)
	}
	k := s.mustResolve(keyID)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aliases[name] = k.id
	return s.arn(name)
}

// SetState changes the state of a key.
func (s *Server) SetState(keyID string, state State) {
	k := s.mustResolve(keyID)
	s.mu.Lock()
	defer s.mu.Unlock()
	k.state = state
}

// SetUsage changes the usage of a key, which is SIGN_VERIFY at first, to
// ENCRYPT_DECRYPT for example.
func (s *Server) SetUsage(keyID, usage string) {
	k := s.mustResolve(keyID)
	s.mu.Lock()
	defer s.mu.Unlock()
	k.usage = usage
}

// Public returns the public key.
func (s *Server) Public(keyID string) crypto.PublicKey { return s.mustResolve(keyID).private.Public() }

func (s *Server) mustResolve(keyID string) *key {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, failure := s.resolve(keyID)
	if failure != nil {
		panic("kmstest: " + failure.message)
	}
	return k
}

func (s *Server) arn(resource string) string {
	return "arn:" + partition(s.opts.Region) + ":kms:" + s.opts.Region + ":" + s.opts.Account + ":" + resource
}

// resource returns the ARN that a name leads to, or the name.
func (s *Server) resource(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, failure := s.resolve(name); failure == nil {
		return k.arn
	}
	return name
}

// partition returns the partition of a Region (AWS partitions, whitepaper AWS
// fault isolation boundaries, and the SDK's partitions.json).
func partition(region string) string {
	for prefix, name := range map[string]string{"cn-": "aws-cn", "us-gov-": "aws-us-gov", "us-iso-": "aws-iso", "us-isob-": "aws-iso-b",
		"eu-isoe-": "aws-iso-e", "us-isof-": "aws-iso-f", "eusc-": "aws-eusc"} {
		if strings.HasPrefix(region, prefix) {
			return name
		}
	}
	return "aws"
}

var (
	arnOf  = regexp.MustCompile(`^arn:aws[a-z-]*:kms:([a-z0-9-]+):([0-9]{12}):((?:key|alias)/.+)$`)
	idForm = regexp.MustCompile(`^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$`)
)

// resolve finds a key by key ID, key ARN, alias name or alias ARN. The caller
// holds s.mu.
func (s *Server) resolve(name string) (*key, *apiError) {
	if m := arnOf.FindStringSubmatch(name); m != nil {
		if m[1] != s.opts.Region {
			return nil, otherRegion(m[1])
		}
		if m[2] != s.opts.Account {
			return nil, noKey(name)
		}
		name = strings.TrimPrefix(m[3], "key/")
	}
	if strings.HasPrefix(name, "alias/") {
		id, ok := s.aliases[name]
		if !ok {
			return nil, noAlias(s.arn(name))
		}
		return s.keys[id], nil
	}
	if !idForm.MatchString(name) {
		return nil, noKeyID(name)
	}
	k, ok := s.keys[name]
	if !ok {
		return nil, noKey(s.arn("key/" + name))
	}
	return k, nil
}
