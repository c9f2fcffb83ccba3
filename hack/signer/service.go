// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/exchequer-dev/exchequer/exchanger/keys/signer/signerapi"
)

// service is the contract over a token.
type service struct {
	signerapi.UnimplementedSignerServer
	hsm    *hsm
	prefix string
}

// Sign signs what is an access token and nothing else.
func (s *service) Sign(_ context.Context, in *signerapi.SignRequest) (*signerapi.SignResponse, error) {
	if !strings.HasPrefix(in.GetLabel(), s.prefix) {
		return nil, status.Error(codes.NotFound, "there is no such key")
	}
	key, err := s.hsm.find(in.GetLabel())
	if err != nil {
		log.Print(err)
		return nil, status.Error(codes.NotFound, "there is no such key")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(in.GetHeader())
	var header struct{ Alg, Kid, Typ string }
	if err != nil || json.Unmarshal(b, &header) != nil || header.Typ != "at+jwt" || header.Alg != key.algorithm {
		return nil, status.Error(codes.InvalidArgument, "the header is not one of an access token for this key")
	}
	signature, err := s.hsm.sign(key, []byte(in.GetHeader()+"."+in.GetPayload()))
	if err != nil {
		log.Print(err)
		return nil, status.Error(codes.Unavailable, "the token did not sign")
	}
	return &signerapi.SignResponse{Signature: signature}, nil
}

// FetchKeys offers the keys of the token, the newest first.
func (s *service) FetchKeys(context.Context, *signerapi.FetchKeysRequest) (*signerapi.FetchKeysResponse, error) {
	keys, err := s.hsm.list(s.prefix)
	if err != nil {
		log.Print(err)
		return nil, status.Error(codes.Unavailable, "the token cannot be read")
	}
	out := &signerapi.FetchKeysResponse{DataTimestamp: timestamppb.Now(), RefreshHintSeconds: 60}
	for _, k := range keys {
		out.Keys = append(out.Keys, &signerapi.Key{Label: k.label, Algorithm: k.algorithm, PublicKey: k.public})
	}
	return out, nil
}

// Metadata says what this is.
func (*service) Metadata(context.Context, *signerapi.MetadataRequest) (*signerapi.MetadataResponse, error) {
	return &signerapi.MetadataResponse{Name: "sample over PKCS #11", Version: "1"}, nil
}
