package signer

import "github.com/signgate/signgate/internal/retry"

// Retry is the retry policy of a guarded key.
type Retry = retry.Policy
