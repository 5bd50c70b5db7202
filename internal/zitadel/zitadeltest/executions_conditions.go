package zitadeltest

import (
	"path"
	"slices"
	"strings"

	actionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/action/v2"
)

// executionFunctions are the moments in which a token or an assertion is about to be made.
var executionFunctions = []string{"preaccesstoken", "presamlresponse", "preuserinfo"}

var (
	noCondition  = invalid("ACTION-5r5Ju", "Errors.Execution.ConditionInvalid")
	emptyAPI     = invalid("COMMAND-3tkej630e6", "Errors.Execution.Invalid")
	emptyEvent   = invalid("COMMAND-w5smb6v7qu", "Errors.Execution.Invalid")
	noMethod     = notFound("COMMAND-vysplsevt8", "Errors.Execution.ConditionInvalid")
	noService    = notFound("COMMAND-qu6dfhiioq", "Errors.Execution.ConditionInvalid")
	noFunction   = notFound("COMMAND-cdy39t0ksr", "Errors.Execution.ConditionInvalid")
	noEventType  = notFound("COMMAND-74aaqj8fv9", "Errors.Execution.ConditionInvalid")
	noEventGroup = notFound("COMMAND-er5oneb5lz", "Errors.Execution.ConditionInvalid")
)

// apiCondition is what conditions on requests and on responses have in common.
type apiCondition interface {
	GetMethod() string
	GetService() string
	GetAll() bool
}

// executionID is the id of the one execution a condition can have.
func executionID(condition *actionpb.Condition) (string, error) {
	switch c := condition.GetConditionType().(type) {
	case *actionpb.Condition_Request:
		return apiExecutionID("request", c.Request)
	case *actionpb.Condition_Response:
		return apiExecutionID("response", c.Response)
	case *actionpb.Condition_Function:
		return "function/" + c.Function.GetName(), nil
	case *actionpb.Condition_Event:
		switch {
		case c.Event.GetEvent() != "":
			return eventExecutions + "/" + c.Event.GetEvent(), nil
		case c.Event.GetGroup() != "":
			return eventExecutions + "/" + strings.TrimSuffix(c.Event.GetGroup(), groupSuffix) + groupSuffix, nil
		case c.Event.GetAll():
			return eventExecutions, nil
		}
		return "", emptyEvent.err()
	}
	return "", noCondition.err()
}

// canonical is how reads show a condition: without the suffix of a group.
func canonical(condition *actionpb.Condition) *actionpb.Condition {
	group := condition.GetEvent().GetGroup()
	if group == "" {
		return condition
	}
	return &actionpb.Condition{ConditionType: &actionpb.Condition_Event{Event: &actionpb.EventExecution{
		Condition: &actionpb.EventExecution_Group{Group: strings.TrimSuffix(group, groupSuffix)},
	}}}
}

func apiExecutionID(kind string, c apiCondition) (string, error) {
	switch {
	case c.GetMethod() != "":
		return kind + c.GetMethod(), nil // methods begin with a slash
	case c.GetService() != "":
		return kind + "/" + c.GetService(), nil
	case c.GetAll():
		return kind, nil
	}
	return "", emptyAPI.err()
}

// executionConditionExists refuses conditions that can never hold.
func executionConditionExists(condition *actionpb.Condition) error {
	switch c := condition.GetConditionType().(type) {
	case *actionpb.Condition_Request:
		return apiConditionExists(c.Request)
	case *actionpb.Condition_Response:
		return apiConditionExists(c.Response)
	case *actionpb.Condition_Function:
		if !slices.Contains(executionFunctions, c.Function.GetName()) {
			return noFunction.err()
		}
	case *actionpb.Condition_Event:
		if event := c.Event.GetEvent(); event != "" && !eventTypeExists(event) {
			return noEventType.err()
		}
		if group := c.Event.GetGroup(); group != "" && !eventGroupExists(group) {
			return noEventGroup.err()
		}
	}
	return nil
}

func apiConditionExists(c apiCondition) error {
	if method := c.GetMethod(); method != "" && !slices.Contains(methodNames(), method) {
		return noMethod.err()
	}
	if service := c.GetService(); service != "" && !slices.Contains(serviceNames(), service) {
		return noService.err()
	}
	return nil
}

func executionType(condition *actionpb.Condition) actionpb.ExecutionType {
	switch condition.GetConditionType().(type) {
	case *actionpb.Condition_Request:
		return actionpb.ExecutionType_EXECUTION_TYPE_REQUEST
	case *actionpb.Condition_Response:
		return actionpb.ExecutionType_EXECUTION_TYPE_RESPONSE
	case *actionpb.Condition_Function:
		return actionpb.ExecutionType_EXECUTION_TYPE_FUNCTION
	case *actionpb.Condition_Event:
		return actionpb.ExecutionType_EXECUTION_TYPE_EVENT
	}
	return actionpb.ExecutionType_EXECUTION_TYPE_UNSPECIFIED
}

const eventExecutions = "event"

// eventTargets finds the targets an event goes to. Only the best match counts: its own execution,
// else that of a group, of several the last in order, else that of all events.
func (st *state) eventTargets(name string) []targetRow {
	if len(st.executions) == 0 {
		return nil
	}
	if own, present := st.executions[eventExecutions+"/"+name]; present {
		return st.targetsOf(own)
	}
	best := ""
	for id := range st.executions {
		group, isGroup := strings.CutSuffix(id, groupSuffix)
		if isGroup && id > best && strings.HasPrefix(eventExecutions+"/"+name, group+".") {
			best = id
		}
	}
	if best != "" {
		return st.targetsOf(st.executions[best])
	}
	return st.targetsOf(st.executions[eventExecutions])
}

// apiTargets finds the targets a request or a response goes to: those of its method, else of its
// service, else of all. Calls that need no token go nowhere.
func (s *Server) apiTargets(kind string, c apiCall) []targetRow {
	st := s.read()
	if len(st.executions) == 0 || c.call.userID == "" {
		return nil
	}
	for _, id := range []string{kind + c.method, kind + path.Dir(c.method), kind} {
		if execution, present := st.executions[id]; present {
			return st.targetsOf(execution)
		}
	}
	return nil
}

// targetsOf leaves out the targets that have been deleted.
func (st *state) targetsOf(execution executionRow) []targetRow {
	var targets []targetRow
	for _, id := range execution.targets {
		if target, present := st.targets[id]; present {
			targets = append(targets, target)
		}
	}
	return targets
}

func (st *state) targetIDs(execution executionRow) []string {
	var ids []string
	for _, target := range st.targetsOf(execution) {
		ids = append(ids, target.id)
	}
	return ids
}

// methodNames lists the methods of the API, serviceNames its services.
func methodNames() []string {
	names := make([]string, 0, len(methodRules))
	for name := range methodRules {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func serviceNames() []string {
	var names []string
	for _, method := range methodNames() {
		names = append(names, strings.TrimPrefix(path.Dir(method), "/"))
	}
	return slices.Compact(names)
}
