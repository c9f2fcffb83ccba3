// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

// actorAllowed refuses a request with an actor, and a token that tells of one:
// neither may be dropped silently (RFC 8693 section 4.1).
func (j *judging) actorAllowed() *Refusal {
	switch {
	case j.request.Actor != nil:
		return deny(ActorForbidden, "actor.use is Forbidden, and an actor_token was sent")
	case j.request.Subject.Act != nil:
		return deny(ActorForbidden, "actor.use is Forbidden, and the subject token has act")
	}
	return nil
}

// mayActNamesClient holds may_act against the asking client, which is the only
// party that could act. Members that this build does not know refuse.
func (j *judging) mayActNamesClient() *Refusal {
	may := j.request.Subject.MayAct
	if may == nil {
		return nil
	}
	named := false
	for member, v := range may {
		s, ok := v.(string)
		if !ok {
			return deny(MayAct, "may_act has a member that is not a string")
		}
		switch member {
		case "iss":
		case "sub":
			iss, has := may["iss"].(string)
			if !has || !j.clientIs(iss, s) {
				return deny(MayAct, "may_act names somebody else than the asking client")
			}
			named = true
		case "client_id":
			_, isSub := may["sub"]
			iss, has := may["iss"].(string)
			elsewhere := !isSub && has && !j.clientIs(iss, s) // iss says whose client_id it is
			if elsewhere || s != j.client.spec.ID && j.deciding.issuer.aliases[s] != j.client.spec.ID {
				return deny(MayAct, "may_act names another client")
			}
			named = true
		default:
			return deny(MayAct, "may_act has a member that is not iss, sub or client_id")
		}
	}
	if !named {
		return deny(MayAct, "may_act names nobody")
	}
	return nil
}

// clientIs says whether (iss, sub) is the asking client: the identity of its
// credential, its ID at this token service, or what the first issuer calls it.
func (j *judging) clientIs(iss, sub string) bool {
	auth, id := j.request.Client, j.client.spec.ID
	switch {
	case auth.Subject != "" && auth.Issuer == iss && auth.Subject == sub:
		return true
	case iss == j.service.spec.Issuer:
		return sub == id
	case iss == j.deciding.issuer.spec.URL:
		return sub == id || j.deciding.issuer.aliases[sub] == id
	}
	return false
}
