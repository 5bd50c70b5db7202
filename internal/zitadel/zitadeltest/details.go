package zitadeltest

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	objectpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/object"
	objectv2pb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/object/v2"
)

// The v1 API reports what a command wrote under creationDate when it added something, under
// changeDate when it changed something, and both in a read.

func addedDetails(e *event) *objectpb.ObjectDetails {
	return &objectpb.ObjectDetails{
		Sequence: e.sequence, CreationDate: timestamppb.New(e.created), ResourceOwner: e.owner,
	}
}

func changedDetails(e *event) *objectpb.ObjectDetails {
	return &objectpb.ObjectDetails{
		Sequence: e.sequence, ChangeDate: timestamppb.New(e.created), ResourceOwner: e.owner,
	}
}

func (d rowDetails) v1() *objectpb.ObjectDetails {
	return &objectpb.ObjectDetails{
		Sequence: d.sequence, CreationDate: timestamppb.New(d.created),
		ChangeDate: timestamppb.New(d.changed), ResourceOwner: d.owner,
	}
}

func (d rowDetails) v2() *objectv2pb.Details {
	return &objectv2pb.Details{
		Sequence: d.sequence, CreationDate: optionalTime(d.created),
		ChangeDate: optionalTime(d.changed), ResourceOwner: d.owner,
	}
}

// writtenDetails is what a v2 command reports.
func writtenDetails(e *event) *objectv2pb.Details {
	return &objectv2pb.Details{
		Sequence: e.sequence, ChangeDate: timestamppb.New(e.created), ResourceOwner: e.owner,
	}
}

func (s *Server) listDetailsV1(total int) *objectpb.ListDetails {
	return &objectpb.ListDetails{
		TotalResult: uint64(total), ProcessedSequence: uint64(s.projected), ViewTimestamp: timestamppb.New(s.clock()),
	}
}

func (s *Server) listDetails(total int) *objectv2pb.ListDetails {
	return &objectv2pb.ListDetails{
		TotalResult: uint64(total), ProcessedSequence: uint64(s.projected), Timestamp: timestamppb.New(s.clock()),
	}
}
