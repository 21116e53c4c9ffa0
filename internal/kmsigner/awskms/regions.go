package awskms

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/signgate/signgate/internal/fault"
)

// regions are the Regions that a key can sign in: the one that was asked for,
// and after it those of ?failover=. A Region that failed is left for the rest of
// the run; when all have failed, the one that did so longest ago comes first.
type regions struct {
	sites    []*site
	failures atomic.Int64
	mu       sync.Mutex // one notice at a time
	notice   func(text string)
}

type site struct {
	client *kms.Client
	region string
	failed atomic.Int64 // its last failure, counted over all Regions; 0 for none
}

// newRegions makes the clients; it calls nobody.
func newRegions(ctx context.Context, ref reference, opts Options) (*regions, error) {
	first, err := newClient(ctx, ref, chooseRegion(ref, opts), opts)
	if err != nil {
		return nil, err
	}
	r := &regions{sites: []*site{{client: first, region: first.Options().Region}}, notice: opts.Notice}
	if err := ref.checkRegions(r.sites[0].region, overriding(first)); err != nil {
		return nil, err
	}
	for _, name := range ref.failover {
		client, err := newClient(ctx, ref, name, opts)
		if err != nil {
			return nil, err
		}
		r.sites = append(r.sites, &site{client: client, region: name})
	}
	return r, nil
}

// do calls f in the first Region, and in the next one after a failure that is
// the Region's and not the key's or the caller's: throttling, an answer of 5xx
// or none, a key that is unavailable for the moment. What a person decided, like
// a disabled key or a denied permission, holds: no other Region is asked.
func (r *regions) do(ctx context.Context, f func(context.Context, *site) error) error {
	var left []string
	var err error
	for _, s := range r.order() {
		if err = f(ctx, s); err == nil || !leaves(err) {
			break
		}
		r.leave(s, err)
		if ctx.Err() != nil {
			return err // the caller may come back, to the next Region
		}
		left = append(left, s.region+" ("+fault.CodeOf(err)+")")
	}
	return after(err, left)
}

func (r *regions) order() []*site {
	if len(r.sites) == 1 {
		return r.sites
	}
	well := slices.DeleteFunc(slices.Clone(r.sites), func(s *site) bool { return s.failed.Load() != 0 })
	if len(well) > 0 {
		return well
	}
	type failure struct {
		*site
		at int64 // read once, as others write it
	}
	var all []failure
	for _, s := range r.sites {
		all = append(all, failure{s, s.failed.Load()})
	}
	slices.SortStableFunc(all, func(a, b failure) int { return cmp.Compare(a.at, b.at) })
	sites := make([]*site, len(all))
	for i, f := range all {
		sites[i] = f.site
	}
	return sites
}

// errStays is the cause of a transient fault that another Region cannot mend,
// such as a replica that is still being created there.
var errStays = errors.New("the key's own state")

func leaves(err error) bool {
	return fault.IsTransient(err) && !errors.Is(err, errStays) || errors.Is(err, context.DeadlineExceeded)
}

func (r *regions) leave(s *site, err error) {
	first := s.failed.Swap(r.failures.Add(1)) == 0
	if len(r.sites) == 1 || !first || r.notice == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notice(fmt.Sprintf("AWS KMS in %s failed (%s); this run goes on in another Region of the failover list", s.region, fault.CodeOf(err)))
}

// after adds to a fault which Regions had failed before.
func after(err error, left []string) error {
	f, ok := errors.AsType[*fault.Error](err)
	if ok && leaves(err) && len(left) > 0 {
		left = left[:len(left)-1] // the last one is what err is about
	}
	if !ok || len(left) == 0 {
		return err
	}
	again := *f
	again.What += ", after " + strings.Join(left, " and ") + " had failed"
	return &again
}
