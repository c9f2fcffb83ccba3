// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/spf13/cobra"
)

func newTokenCommand(now func() time.Time) *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "Make, read and verify tokens",
		Long: `Make, read and verify tokens: what an issuer signs, for development and tests; what
a token says; and whether a signature is its issuer's.`,
		Example: `  exchequer token mint --key issuer.pem --new-key --issuer https://login.corp.example --sub alice
  exchequer token decode token.jwt
  exchequer token verify --issuer https://sts.example.com token.jwt`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newTokenMintCommand(now), newTokenJWKSCommand(), newTokenDecodeCommand(now), newTokenVerifyCommand(now), newTokenProofCommand(now))
	return c
}
