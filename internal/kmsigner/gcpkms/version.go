package gcpkms

import (
	"context"
	"fmt"
	"net/url"
	"strconv"

	"github.com/signgate/signgate/internal/fault"
)

// version is a key version. The API calls it CryptoKeyVersion.
type version struct {
	name      string
	algorithm string // "" when the user named the version
	number    uint64 // 0 when the user named the version
}

type versionList struct {
	Versions []struct {
		Name      string `json:"name"`
		State     string `json:"state"`
		Algorithm string `json:"algorithm"`
	} `json:"cryptoKeyVersions"`
	Next string `json:"nextPageToken"`
}

const (
	pageSize = 100
	maxPages = 20
)

// resolve returns the version that ref names, or else the newest enabled one,
// which Notice is told.
func (c *client) resolve(ctx context.Context, ref reference, o Options) (version, error) {
	if ref.version != "" {
		return version{name: ref.versionName()}, nil
	}
	var newest version
	err := o.Retry.Do(ctx, "listing the versions of "+ref.key, func(ctx context.Context) (err error) {
		newest, err = c.newest(ctx, ref.key)
		return err
	})
	if err == nil {
		o.Notice(fmt.Sprintf("the key %s names no version; this run uses its newest enabled one, %s; name it in key to stay with it", ref.key, newest.name))
	}
	return newest, err
}

// newest reads the list of versions, page by page. Numbers only grow, so the
// highest is the newest (https://docs.cloud.google.com/kms/docs/object-hierarchy).
func (c *client) newest(ctx context.Context, key string) (version, error) {
	best := version{}
	query := url.Values{"pageSize": {strconv.Itoa(pageSize)}, "filter": {"state=ENABLED"}}
	for range maxPages {
		var page versionList
		if _, err := c.get(ctx, "cryptoKeyVersions.list", key, key+"/cryptoKeyVersions", query, &page); err != nil {
			return version{}, err
		}
		if err := page.pick(key, &best); err != nil {
			return version{}, err
		}
		if page.Next == "" {
			return best, checkFound(key, best)
		}
		query.Set("pageToken", page.Next)
	}
	return version{}, fault.Undecidedf("kms_unexpected", "name a version in key", "the list of the versions of %s has more than %d pages", key, maxPages)
}

// pick replaces best by a newer enabled version of the page.
func (l versionList) pick(key string, best *version) error {
	for _, v := range l.Versions {
		m := versionForm.FindStringSubmatch(v.Name)
		if m == nil || m[1] != key {
			return otherKey(key, "the versions", v.Name, v.Algorithm)
		}
		n, err := strconv.ParseUint(m[2], 10, 64)
		if err == nil && n > best.number && v.State == "ENABLED" {
			*best = version{name: v.Name, algorithm: v.Algorithm, number: n}
		}
	}
	return nil
}

func checkFound(key string, best version) error {
	if best.name != "" {
		return nil
	}
	return fault.Refusedf("kms_key_disabled", "enable a version, or set key to another key and update expected-key", "the Cloud KMS key %s has no enabled version", key)
}
