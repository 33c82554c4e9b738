"""moto as a server, with the answers it lacks, in its own way of answering: boto3 reads them as any.

* EC2's settings of a region: GetSnapshotBlockPublicAccessState, GetImageBlockPublicAccessState,
  GetSerialConsoleAccessStatus, GetInstanceMetadataDefaults;
* events scheduled for instances that are tagged `Planned`, in DescribeInstanceStatus;
* Systems Manager's DescribeInstanceInformation and DescribeInstancePatchStates: an instance tagged
  `Managed` is, and lacks a patch;
* Service Quotas' ListServiceQuotas, EC2's over two pages, Auto Scaling's unknown;
* AWS Backup's ListProtectedResources: volumes tagged `Backed` are.

Arguments: those of moto_server."""

import datetime
import sys

import moto.backup.urls as backup
from moto.backup.responses import BackupResponse
from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ec2.responses import EC2Response
from moto.server import main
from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.responses import ServiceQuotasResponse
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


def quota(self, service, code, name, value, **more):
    return {"ServiceCode": service, "QuotaCode": code, "QuotaName": name, "Value": value, "Unit": "None", "Adjustable": True,
        "GlobalQuota": False, "QuotaArn": f"arn:aws:servicequotas:{self.region}:{self.current_account}:{service}/{code}", **more}


@add(ServiceQuotasResponse)
def list_service_quotas(self):
    service = self._get_param("ServiceCode")
    if service == "autoscaling":
        raise NoSuchResource
    if service == "vpc":
        return {"Quotas": [quota(self, "vpc", "L-F678F1CE", "VPCs per Region", 5.0)]}
    if service != "ec2":
        return {"Quotas": []}
    if self._get_param("NextToken"):
        return {"Quotas": [quota(self, "ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", 5.0)]}
    usage = {"MetricNamespace": "AWS/Usage", "MetricName": "ResourceCount", "MetricStatisticRecommendation": "Maximum",
        "MetricDimensions": {"Class": "Standard/OnDemand", "Resource": "vCPU", "Service": "EC2", "Type": "Resource"}}
    name = "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"
    return {"NextToken": "a b", "Quotas": [quota(self, "ec2", "L-1216C47A", name, 64.0, UsageMetric=usage)]}


@add(BackupResponse)
def list_protected_resources(self):
    volumes = ec2_backends[self.current_account][self.region].volumes.values()
    backed = (volume for volume in volumes if any(tag["key"] == "Backed" for tag in volume.get_tags()))
    return {"Results": [{"ResourceArn": f"arn:aws:ec2:{self.region}:{self.current_account}:volume/{volume.id}",
        "ResourceType": "EBS", "LastBackupTime": DAY, "ResourceName": "data"} for volume in backed]}


backup.url_paths["{0}/resources/?$"] = BackupResponse.dispatch

main(sys.argv[1:])
