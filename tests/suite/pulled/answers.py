"""moto as a server, with the answers it lacks, in its own way of answering: boto3 reads them as any.

* EC2's settings of a region: GetSnapshotBlockPublicAccessState, GetImageBlockPublicAccessState,
  GetSerialConsoleAccessStatus, GetInstanceMetadataDefaults;
* events scheduled for instances that are tagged `Planned`, in DescribeInstanceStatus;
* Systems Manager's DescribeInstanceInformation and DescribeInstancePatchStates: an instance tagged
  `Managed` is, and lacks a patch.

Arguments: those of moto_server."""

import datetime
import sys

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ec2.responses import EC2Response
from moto.server import main
from moto.ssm.responses import SimpleSystemManagerResponse as Ssm

DAY = datetime.datetime(2026, 12, 1, 9, tzinfo=datetime.timezone.utc)


def add(to):
    def keep(answer):
        setattr(to, answer.__name__, lambda self: ActionResult(answer(self)))
    return keep


@add(EC2Response)
def get_snapshot_block_public_access_state(_):
    return {"State": "block-new-sharing"}


@add(EC2Response)
def get_image_block_public_access_state(_):
    return {"ImageBlockPublicAccessState": "unblocked"}


@add(EC2Response)
def get_serial_console_access_status(_):
    return {"SerialConsoleAccessEnabled": False}


@add(EC2Response)
def get_instance_metadata_defaults(_):
    return {"AccountLevel": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}}


def tagged(backend, key):
    for instance in backend.all_instances():
        if any(tag["key"] == key for tag in instance.get_tags()):
            yield instance


theirs = EC2Response.describe_instance_status


def describe_instance_status(self):
    for instance in tagged(self.ec2_backend, "Planned"):
        instance.events = [{"InstanceEventId": "instance-event-0abc", "Code": "instance-retirement",
            "Description": "The instance is running on degraded hardware", "NotBefore": DAY}]
    return theirs(self)


EC2Response.describe_instance_status = describe_instance_status


def managed(self):
    return tagged(ec2_backends[self.current_account][self.region], "Managed")


@add(Ssm)
def describe_instance_information(self):
    return {"InstanceInformationList": [{"InstanceId": instance.id, "PingStatus": "Online", "LastPingDateTime": DAY,
        "AgentVersion": "3.3.0", "IsLatestVersion": False, "PlatformType": "Linux", "PlatformName": "Amazon Linux",
        "PlatformVersion": "2023", "ResourceType": "EC2Instance", "IPAddress": "10.0.0.7", "ComputerName": "web"}
        for instance in managed(self)]}


@add(Ssm)
def describe_instance_patch_states(self):
    return {"InstancePatchStates": [{"InstanceId": instance.id, "PatchGroup": "", "BaselineId": "pb-0abc", "InstalledCount": 7,
        "InstalledOtherCount": 0, "MissingCount": 1, "FailedCount": 0, "NotApplicableCount": 0, "CriticalNonCompliantCount": 1,
        "OperationStartTime": DAY, "OperationEndTime": DAY, "Operation": "Scan"} for instance in managed(self)]}


main(sys.argv[1:])
