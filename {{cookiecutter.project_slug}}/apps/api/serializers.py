"""What the API shows, and what of it can be changed."""

from typing import Any

from rest_framework import serializers

from apps.users.models import User


class MeSerializer(serializers.ModelSerializer[User]):
    """Only names are writable: an e-mail address, which resets passwords, is not."""

    class Meta:
        model = User
        fields = (
            # %if cookiecutter.login == "username"
            "username",
            # %endif
            "email",
            "first_name",
            "last_name",
            "date_joined",
        )
        read_only_fields = (User.USERNAME_FIELD, User.EMAIL_FIELD, "date_joined")

    def update(self, instance: User, validated_data: dict[str, Any]) -> User:
        """Save what was sent: the rest may have changed since it was read."""
        for name, value in validated_data.items():
            setattr(instance, name, value)
        instance.save(update_fields=list(validated_data))
        return instance


class ProblemSerializer(serializers.Serializer[Any]):
    detail = serializers.CharField()
