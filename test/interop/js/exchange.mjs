// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// One token request with a client library that is not ours, and the verdict of a
// verifier that is not ours either. What to ask stands in the environment variable
// ASK, as JSON; what came of it is written to standard output, as JSON:
//
//   library     openid-client | oauth4webapi
//   issuer      the token service, which is found by its metadata
//   client, secret
//   privateKey  a PKCS #8 PEM instead of secret: private_key_jwt, ES256, of that kid
//   dpop        true: with a DPoP proof by a key of its own
//   grant, parameters
//   verify      {audience, typ}: have jose verify the token; absent: nobody does
//   introspect, revoke  true: have the library ask about the token, then revoke it
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'

const ask = JSON.parse(process.env.ASK)

async function privateKey() {
  return { key: await jose.importPKCS8(ask.privateKey.pem, 'ES256'), kid: ask.privateKey.kid }
}

async function withOpenIDClient() {
  const auth = ask.privateKey ? openid.PrivateKeyJwt(await privateKey()) : openid.ClientSecretBasic(ask.secret)
  const config = await openid.discovery(new URL(ask.issuer), ask.client, {}, auth, { algorithm: 'oauth2' })
  const options = {}
  if (ask.dpop) options.DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'))
  const answer = await openid.genericGrantRequest(config, ask.grant, ask.parameters, options)
  const result = { answer, metadata: config.serverMetadata() }
  if (ask.introspect) result.introspection = await openid.tokenIntrospection(config, answer.access_token)
  if (ask.revoke) {
    await openid.tokenRevocation(config, answer.access_token)
    result.revoked = await openid.tokenIntrospection(config, answer.access_token)
  }
  return result
}

async function withOAuth4WebAPI() {
  const issuer = new URL(ask.issuer)
  const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2' })
  const as = await oauth.processDiscoveryResponse(issuer, found)
  const client = { client_id: ask.client }
  const auth = ask.privateKey ? oauth.PrivateKeyJwt(await privateKey()) : oauth.ClientSecretBasic(ask.secret)
  const options = {}
  if (ask.dpop) options.DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
  const once = async () =>
    oauth.processGenericTokenEndpointResponse(
      as, client,
      await oauth.genericTokenEndpointRequest(as, client, auth, ask.grant, new URLSearchParams(ask.parameters), options),
      // A token that is no access token has no token_type (RFC 8693 section 2.2.1).
      { recognizedTokenTypes: { n_a: () => {} } },
    )
  let answer
  try {
    answer = await once()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    answer = await once() // the library has kept the nonce
  }
  return { answer, metadata: as }
}

const libraries = { 'openid-client': withOpenIDClient, oauth4webapi: withOAuth4WebAPI }

try {
  const result = await libraries[ask.library]()
  if (ask.verify) {
    const keys = jose.createRemoteJWKSet(new URL(result.metadata.jwks_uri))
    const { payload, protectedHeader } = await jose.jwtVerify(result.answer.access_token, keys, {
      issuer: ask.issuer, audience: ask.verify.audience, typ: ask.verify.typ, requiredClaims: ['sub', 'iat', 'exp'],
    })
    result.claims = payload
    result.header = protectedHeader
  }
  console.log(JSON.stringify(result))
} catch (error) {
  console.log(JSON.stringify({ error: error.error ?? error.code ?? String(error), cause: String(error.cause ?? error) }))
}
