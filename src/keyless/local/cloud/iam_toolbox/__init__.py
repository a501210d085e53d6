"""IAM Toolbox (preview): why a request was denied, by the authorization id of its refusal.

Not here: GetRequestAuthorizationPolicy, which gives the text of a policy as it was; the record names the statement.
https://docs.aws.amazon.com/iam-toolbox/latest/APIReference/API_GetRequestAuthorizationDetails.html
"""

from keyless.local.cloud.iam_toolbox.toolbox import Toolbox

__all__ = ["Toolbox"]
