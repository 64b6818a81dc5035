from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('subscribers', '0006_calendar'),
    ]

    operations = [
        migrations.AddField(
            model_name='consentevent',
            name='language',
            field=models.CharField(db_default='en', default='en', help_text='In which the words were shown.', max_length=5),
        ),
    ]
