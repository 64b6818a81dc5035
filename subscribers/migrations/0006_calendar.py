from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('articles', '0002_corrections'),
        ('subscribers', '0005_cadences'),
    ]

    operations = [
        migrations.AddField(
            model_name='newsletter',
            name='scheduled_since',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        # The earlier condition let a monthly cadence pass that had neither: unknown is not false.
        migrations.RemoveConstraint(
            model_name='newsletter',
            name='a_monthly_cadence_has_its_day',
        ),
        migrations.AddConstraint(
            model_name='newsletter',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('cadence', 'monthly'), _negated=True), models.Q(('month_day__isnull', False), ('month_day__range', (1, 31)), ('month_week__isnull', True)), models.Q(('month_day__isnull', True), ('month_week__isnull', False), ('weekday__isnull', False)), _connector='OR'), name='a_monthly_cadence_has_its_day', violation_error_message='Give either a day of the month, or a week and a weekday.'),
        ),
    ]
