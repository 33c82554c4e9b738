output "reading_role_arn" {
  description = "The role Skyherd takes."
  value       = one(aws_iam_role.reading[*].arn)
}

output "metric_stream_name" {
  description = "The metric stream."
  value       = one(aws_cloudwatch_metric_stream.metrics[*].name)
}

output "undelivered_bucket" {
  description = "Batches that could not be delivered."
  value       = one(aws_s3_bucket.undelivered[*].id)
}

output "undeliverable_queue" {
  description = "Events that could not be delivered."
  value       = one(aws_sqs_queue.undeliverable[*].id)
}
